#pragma once
#include <openssl/err.h>
#include <openssl/evp.h>

#include <cerrno>
#include <climits>
#include <memory>

#include "library_tfm.h"

// The ops of a library tfm, by what they do. Private to library_*.cc.

// While one lives, errors of libcrypto's go when it does: the thread's error queue is left as it was found. Node's TLS
// takes what lies there for its own. Around every call that can fail.
class KeepErrors {
 public:
  KeepErrors() { ERR_set_mark(); }
  KeepErrors(const KeepErrors&) = delete;
  ~KeepErrors() { ERR_pop_to_mark(); }
};

// What libcrypto has no notion of: its requests run at once, so "staged" only means that the next run knows its data.
class LibraryOp : public Op {
 public:
  static constexpr long unlimited = INT_MAX - 4096;  // libcrypto's lengths are ints

  explicit LibraryOp(std::shared_ptr<Tfm> tfm) : tfm_(std::move(tfm)) {}
  long run(const Unit& unit) final {
    KeepErrors keep;
    return run_one(unit);
  }
  void run_units(const Units& units, int32_t* results) final {
    KeepErrors keep;
    run_each(units, results);
  }
  long stage(const Unit&) override { return 0; }
  long reset() override { return 0; }
  long max_request() override { return unlimited; }

 protected:
  // As run() and run_units() of Op.
  virtual long run_one(const Unit& unit) = 0;
  virtual void run_each(const Units& units, int32_t* results) {
    for (size_t i = 0; i < units.count; i++) results[i] = static_cast<int32_t>(run_one(units.unit(i)));
  }

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
