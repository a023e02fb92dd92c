#pragma once
#include <string>

#include "tfm.h"

// AF_ALG. One tfm socket (bind, key) and one op socket (accept) for each request in flight.
// Kernel: crypto/af_alg.c, algif_{hash,skcipher,aead,rng}.c.
class KernelTfm : public Tfm {
 public:
  // Opens and binds. Returns 0 or -errno; *syscall names the call that failed.
  static long open(Type type, const std::string& name, uint32_t feat, uint32_t mask, std::shared_ptr<Tfm>* tfm,
                   const char** syscall);
  explicit KernelTfm(Type type);
  ~KernelTfm() override;
  KernelTfm* kernel() override { return this; }
  long set_key(const uint8_t* key, size_t size) override;
  long set_key_serial(int32_t serial) override;
  long set_authsize(uint32_t size) override;
  long open_op(std::shared_ptr<Op>* op) override;
  void close() override;
  void set_limit(size_t bytes) override { limit_ = bytes; }
  size_t limit() const { return limit_; }
  // A new op socket, close-on-exec and non-blocking, or -errno.
  int accept_op() const;

 private:
  Type type_;
  int fd_ = -1;
  std::atomic<size_t> limit_;
};

class KernelOp : public Op, public Message {
 public:
  // The op as what it is, or null.
  static std::shared_ptr<KernelOp> of(const std::shared_ptr<Op>& op) {
    KernelOp* kernel = op ? op->kernel() : nullptr;
    return kernel ? std::shared_ptr<KernelOp>(op, kernel) : nullptr;
  }
  KernelOp(std::shared_ptr<KernelTfm> tfm, Type type);
  ~KernelOp() override;
  Message* message() override { return type_ == Type::hash ? this : nullptr; }
  KernelOp* kernel() override { return this; }
  long run(const Unit& unit) override;
  long update(const uint8_t* src, size_t size) override;
  long final(uint8_t* dst, size_t size) override;
  long clone(std::shared_ptr<Op>* copy) override;
  long stage(const Unit& unit) override;
  long reset() override;
  long max_request() override;

  int fd() const { return fd_; }
  // Sends what a read of the unit's result needs and is not in the socket yet. Returns 0 or -errno.
  long build(const Unit& unit);
  // To be called with the outcome of a read done elsewhere (AIO): an error leaves data behind in the socket.
  void note_result(long result) {
    if (result < 0) stale_ = true;
  }

 private:
  long send(const Unit& unit, bool control, const uint8_t* data, size_t size, int flags);
  long receive(uint8_t* dst, size_t size);
  long run_whole(const Unit& unit);
  long run_in_chunks(const Unit& unit);
  long generate(uint8_t* dst, size_t size);
  long ensure_budget(size_t size);
  long refresh();

  std::shared_ptr<KernelTfm> tfm_;
  Type type_;
  int fd_ = -1;
  size_t budget_;
  bool stale_ = false;
};
