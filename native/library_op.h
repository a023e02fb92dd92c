#pragma once
#include <openssl/evp.h>

#include <cerrno>
#include <climits>
#include <memory>

#include "library_tfm.h"

// The ops of a library tfm, by what they do. Private to library_*.cc.

// What libcrypto has no notion of: its requests run at once, so "staged" only means that the next run knows its data.
class LibraryOp : public Op {
 public:
  static constexpr long unlimited = INT_MAX - 4096;  // libcrypto's lengths are ints

  explicit LibraryOp(std::shared_ptr<Tfm> tfm) : tfm_(std::move(tfm)) {}
  long stage(const Unit&) override { return 0; }
  long reset() override { return 0; }
  long max_request() override { return unlimited; }

 protected:
  std::shared_ptr<Tfm> tfm_;
};

// Each makes an op, or returns null when there is no memory for one.
// `interleaved`: it is SHA-256, and batches go through sha256_units.
std::shared_ptr<Op> make_digest_op(std::shared_ptr<Tfm> tfm, const EVP_MD* digest, bool interleaved);
// The context has its key.
std::shared_ptr<Op> make_mac_op(std::shared_ptr<Tfm> tfm, MacContext context);
// The contexts have their keys.
std::shared_ptr<Op> make_cipher_op(std::shared_ptr<Tfm> tfm, CipherContext encrypt, CipherContext decrypt);
// The key stays the tfm's.
std::shared_ptr<Op> make_aead_op(std::shared_ptr<Tfm> tfm, LibraryKind kind, const EVP_CIPHER* cipher,
                                 const SecretBytes& key, size_t tag_size);
