#pragma once
#include <openssl/evp.h>

#include <string>

#include "tfm.h"
#include "wipe.h"

// What a library tfm is made of; the numbers are shared with lib/binding.ts.
enum class LibraryKind : uint32_t {
  digest = 0,
  hmac = 1,
  cmac = 2,
  cipher = 3,
  gcm = 4,
  ccm = 5,
  chacha20poly1305 = 6,
  random = 7
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
  LibraryKind kind_;
  std::string name_;
  EVP_MD* digest_ = nullptr;
  EVP_CIPHER* cipher_ = nullptr;
  EVP_MAC* mac_ = nullptr;
  SecretBytes key_;
  bool keyed_ = false;
  uint32_t authsize_ = 16;
};
