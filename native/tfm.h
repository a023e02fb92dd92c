#pragma once
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

// The numbers of these enums are shared with lib/base/binding.ts.
enum class Type : uint32_t { hash = 0, skcipher = 1, aead = 2, rng = 3 };
enum class Direction : uint32_t { decrypt = 0, encrypt = 1 };  // ALG_OP_DECRYPT, ALG_OP_ENCRYPT

// What of a unit is in the op already: nothing; its data ("staged"); or its IV too, so that only the read is left,
// which is the hazard experiment's. The numbers are shared with lib/base/binding.ts.
enum class Staged : uint32_t { nothing = 0, data = 1, all = 2 };

// One unit of work: everything one cipher, hash or rng call takes. A null iv continues with the op's own.
struct Unit {
  Direction direction = Direction::encrypt;
  Staged staged = Staged::nothing;
  const uint8_t* iv = nullptr;
  size_t iv_size = 0;
  size_t assoc_size = 0;
  const uint8_t* src = nullptr;
  size_t src_size = 0;
  uint8_t* dst = nullptr;
  size_t dst_size = 0;
  // Hashed with src, in front of it or behind (hash only).
  const uint8_t* salt = nullptr;
  size_t salt_size = 0;
  bool salt_last = false;
};

// Equal units, one after the other in ivs, src and dst: a batch, or a lane's slice of one.
struct Units {
  Unit first;
  size_t count = 1;
  size_t src_stride = 0;
  size_t dst_stride = 0;

  Unit unit(size_t index) const {
    Unit unit = first;
    unit.src += index * src_stride;
    unit.dst += index * dst_stride;
    if (unit.iv) unit.iv += index * unit.iv_size;
    return unit;
  }
  Units slice(size_t from, size_t to) const { return {unit(from), to - from, src_stride, dst_stride}; }
};

class KernelOp;
class KernelTfm;
class Op;

// A message that is hashed piece by piece.
class Message {
 public:
  // Hashes more of it. Returns 0 or -errno.
  virtual long update(const uint8_t* src, size_t size) = 0;
  // Ends it and writes its digest. Returns the digest's size or -errno.
  virtual long final(uint8_t* dst, size_t size) = 0;
  // Copies its state. Returns 0 or -errno.
  virtual long clone(std::shared_ptr<Op>* copy) = 0;

 protected:
  ~Message() = default;
};

// The state of one request in flight: the kernel's op socket, or a libcrypto context. Not thread-safe: jobs
// that run it are counted in `users`, and everybody else is refused.
class Op {
 public:
  virtual ~Op() = default;
  // What it is beside an op of any provider: null where it is not.
  virtual Message* message() { return nullptr; }
  virtual KernelOp* kernel() { return nullptr; }
  // Runs one whole unit. Returns the bytes written to dst, or -errno.
  virtual long run(const Unit& unit) = 0;
  // Runs units. Writes the bytes or -errno of each to results.
  virtual void run_units(const Units& units, int32_t* results) {
    for (size_t i = 0; i < units.count; i++) results[i] = static_cast<int32_t>(run(units.unit(i)));
  }
  // Copies a unit's data in ahead of its IV; with Staged::all the IV goes in too. Returns 0 or -errno.
  virtual long stage(const Unit& unit) = 0;
  // Forgets everything queued: as new.
  virtual long reset() = 0;
  // The largest unit, in bytes of input, and of output, that can go through whole. Returns it or -errno.
  virtual long max_request() = 0;

  std::atomic<uint32_t> users{0};
};

// A keyed transformation. Ops keep theirs alive.
class Tfm : public std::enable_shared_from_this<Tfm> {
 public:
  virtual ~Tfm() = default;
  // Null where its ops are not the kernel's.
  virtual KernelTfm* kernel() { return nullptr; }
  virtual long set_key(const uint8_t* key, size_t size) = 0;
  virtual long set_key_serial(int32_t serial) = 0;
  virtual long set_authsize(uint32_t size) = 0;
  virtual long open_op(std::shared_ptr<Op>* op) = 0;
  virtual void close() = 0;
  // The longest request, in bytes, that the driver can take: some break on longer ones.
  virtual void set_limit(size_t) {}

  std::atomic<bool> closed{false};

  // Ops kept for batches, one for each lane or unit in flight. They live as long as the tfm. Neither throws: lanes and
  // the loop's callbacks call them.
  long take_op(std::shared_ptr<Op>* op) {
    {
      std::lock_guard<std::mutex> lock(spare_lock_);
      if (!spare_.empty()) {
        *op = std::move(spare_.back());
        spare_.pop_back();
        return 0;
      }
    }
    try {
      return open_op(op);
    } catch (const std::bad_alloc&) {
      return -ENOMEM;
    }
  }
  void give_op(std::shared_ptr<Op> op) {
    std::lock_guard<std::mutex> lock(spare_lock_);
    if (closed) return;
    try {
      spare_.push_back(std::move(op));
    } catch (const std::bad_alloc&) {
      // The next one is opened anew.
    }
  }

 protected:
  // An op holds its tfm and a spare op is held by it: the ring is broken here, by close().
  void drop_spare_ops() {
    std::vector<std::shared_ptr<Op>> doomed;
    std::lock_guard<std::mutex> lock(spare_lock_);
    doomed.swap(spare_);
  }

 private:
  std::mutex spare_lock_;
  std::vector<std::shared_ptr<Op>> spare_;
};
