#include <algorithm>
#include <cstring>

#include "library_op.h"
#include "sha256_units.h"

namespace {

// A message hashed piece by piece. What digests and MACs do differently is in begin, absorb and finish.
class MessageOp : public LibraryOp, public Message {
 public:
  using LibraryOp::LibraryOp;
  Message* message() override { return this; }
  long update(const uint8_t* src, size_t size) final {
    KeepErrors keep;
    return add(src, size);
  }
  long final(uint8_t* dst, size_t size) final {
    KeepErrors keep;
    return end(dst, size);
  }
  long clone(std::shared_ptr<Op>* made) final {
    KeepErrors keep;
    return copy(made);
  }
  long reset() override {
    open_ = false;
    return 0;
  }

 protected:
  long run_one(const Unit& unit) override {
    open_ = false;
    long error = unit.salt_last ? 0 : add(unit.salt, unit.salt_size);
    if (!error) error = add(unit.src, unit.src_size);
    if (!error && unit.salt_last) error = add(unit.salt, unit.salt_size);
    return error ? error : end(unit.dst, unit.dst_size);
  }
  // As update(), final() and clone() of Message.
  long add(const uint8_t* src, size_t size) {
    if (!open_ && !begin()) return -EIO;
    open_ = true;
    return absorb(src, size) ? 0 : -EIO;
  }
  long end(uint8_t* dst, size_t size) {
    long error = open_ ? 0 : add(nullptr, 0);
    uint8_t result[EVP_MAX_MD_SIZE];
    size_t length = 0;
    if (error || !finish(result, &length)) return -EIO;
    open_ = false;
    size = std::min(size, length);
    std::memcpy(dst, result, size);
    return static_cast<long>(size);
  }
  virtual long copy(std::shared_ptr<Op>* made) = 0;

  virtual bool begin() = 0;
  virtual bool absorb(const uint8_t* src, size_t size) = 0;
  virtual bool finish(uint8_t* result, size_t* length) = 0;
  bool open_ = false;
};

class DigestOp : public MessageOp {
 public:
  DigestOp(std::shared_ptr<Tfm> tfm, const EVP_MD* digest, DigestContext context, bool interleaved)
      : MessageOp(std::move(tfm)), digest_(digest), context_(std::move(context)), interleaved_(interleaved) {}

 private:
  long copy(std::shared_ptr<Op>* made) override {
    DigestContext context(EVP_MD_CTX_new());
    if (!context || (open_ && EVP_MD_CTX_copy_ex(context.get(), context_.get()) != 1)) return -ENOMEM;
    auto op = std::make_shared<DigestOp>(tfm_, digest_, std::move(context), interleaved_);
    op->open_ = open_;
    *made = std::move(op);
    return 0;
  }
  // A salt in front is hashed once: each unit goes on from a copy of that state.
  void run_each(const Units& units, int32_t* results) override {
    if (interleaved_ && sha256_units_take(units)) return sha256_units(units, results);
    const Unit& first = units.first;
    if (first.salt_last || first.salt_size == 0) return LibraryOp::run_each(units, results);
    open_ = false;
    DigestContext salted(EVP_MD_CTX_new());
    long error = add(first.salt, first.salt_size);
    if (!error && (!salted || EVP_MD_CTX_copy_ex(salted.get(), context_.get()) != 1)) error = -ENOMEM;
    for (size_t i = 0; i < units.count; i++) {
      Unit unit = units.unit(i);
      long result = error;
      if (!result && i > 0) result = EVP_MD_CTX_copy_ex(context_.get(), salted.get()) == 1 ? 0 : -ENOMEM;
      open_ = true;
      if (!result) result = add(unit.src, unit.src_size);
      results[i] = static_cast<int32_t>(result ? result : end(unit.dst, unit.dst_size));
    }
    open_ = false;
  }
  bool begin() override { return EVP_DigestInit_ex2(context_.get(), digest_, nullptr) == 1; }
  bool absorb(const uint8_t* src, size_t size) override { return EVP_DigestUpdate(context_.get(), src, size) == 1; }
  bool finish(uint8_t* result, size_t* length) override {
    unsigned written = 0;
    bool done = EVP_DigestFinal_ex(context_.get(), result, &written) == 1;
    *length = written;
    return done;
  }

  const EVP_MD* digest_;
  DigestContext context_;
  bool interleaved_;
};

class MacOp : public MessageOp {
 public:
  MacOp(std::shared_ptr<Tfm> tfm, MacContext context) : MessageOp(std::move(tfm)), context_(std::move(context)) {}

 private:
  long copy(std::shared_ptr<Op>* made) override {
    MacContext context(EVP_MAC_CTX_dup(context_.get()));
    if (!context) return -ENOMEM;
    auto op = std::make_shared<MacOp>(tfm_, std::move(context));
    op->open_ = open_;
    *made = std::move(op);
    return 0;
  }
  // No key given: the context starts again with the one it has.
  bool begin() override { return EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1; }
  bool absorb(const uint8_t* src, size_t size) override { return EVP_MAC_update(context_.get(), src, size) == 1; }
  bool finish(uint8_t* result, size_t* length) override {
    return EVP_MAC_final(context_.get(), result, length, EVP_MAX_MD_SIZE) == 1;
  }

  MacContext context_;
};

}  // namespace

std::shared_ptr<Op> make_digest_op(std::shared_ptr<Tfm> tfm, const EVP_MD* digest, bool interleaved) {
  DigestContext context(EVP_MD_CTX_new());
  return context ? std::make_shared<DigestOp>(std::move(tfm), digest, std::move(context), interleaved) : nullptr;
}

std::shared_ptr<Op> make_mac_op(std::shared_ptr<Tfm> tfm, MacContext context) {
  return std::make_shared<MacOp>(std::move(tfm), std::move(context));
}
