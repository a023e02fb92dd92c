#pragma once
#include <openssl/evp.h>

#include <string>

#include "secret_bytes.h"
#include "tfm.h"

template <typename T, void (*release)(T*)>
struct Release {
  void operator()(T* pointer) const { release(pointer); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Release<EVP_CIPHER_CTX, EVP_CIPHER_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Release<EVP_MD_CTX, EVP_MD_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Release<EVP_MAC_CTX, EVP_MAC_CTX_free>>;

// What a library tfm is made of; the numbers are shared with lib/base/binding.ts.
enum class LibraryKind : uint32_t {
  digest = 0,
  hmac = 1,
  cmac = 2,
  cipher = 3,
  gcm = 4,
  ccm = 5,
  chacha20poly1305 = 6,
  random = 7,
  interleaved = 8  // a digest, of which four units are hashed side by side: SHA-256, where the CPU can
};

// libcrypto, the one that Node itself carries. Same requests, same bytes, same layouts as AF_ALG.
class LibraryTfm : public Tfm {
 public:
  // `evp` is libcrypto's name of the digest or cipher. Returns 0 or -errno.
  static long open(LibraryKind kind, const std::string& evp, std::shared_ptr<Tfm>* tfm);
  explicit LibraryTfm(LibraryKind kind) : kind_(kind) {}
  ~LibraryTfm() override;
  long set_key(const uint8_t* key, size_t size) override;
  long set_key_serial(int32_t) override;
  long set_authsize(uint32_t size) override;
  long open_op(std::shared_ptr<Op>* op) override;
  void close() override;

 private:
  // A context with the key set. Each returns 0 or -errno.
  long keyed_mac(MacContext* context) const;
  long keyed_cipher(CipherContext* context, int encrypt) const;

  LibraryKind kind_;
  std::string name_;
  EVP_MD* digest_ = nullptr;
  EVP_CIPHER* cipher_ = nullptr;
  EVP_MAC* mac_ = nullptr;
  SecretBytes key_;
  bool keyed_ = false;
  uint32_t authsize_ = 16;
};
