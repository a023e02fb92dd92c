#pragma once
#include <linux/aio_abi.h>

#include <deque>
#include <vector>

#include "completions.h"

// The kernel's asynchronous I/O on op sockets: one IOCB and one op socket for each unit in flight.
// Kernel: fs/aio.c; crypto/algif_skcipher.c, algif_aead.c:*_recvmsg_async.
class Aio : public Completions {
 public:
  Aio(Napi::Env env, Napi::Function callback, CompletionRing ring, size_t depth)
      : Completions(env, callback, ring), slots_(depth) {
    free_.reserve(depth);
    prepared_.reserve(depth);
  }
  // Returns 0 or -errno (ENOSYS: the kernel has no AIO).
  long open_context();

 private:
  struct Slot {
    Job* job = nullptr;
    size_t index = 0;
    std::shared_ptr<KernelOp> op;
    struct iocb iocb = {};
    bool fresh = false;   // of the io_submit under way
    bool inside = false;  // complete before io_submit returned
  };
  struct Ring;  // the completion ring that the kernel shares with us

  bool takes(const Job& job) const override;
  void start(std::unique_ptr<Job> job) override;
  void collect(JobQueue* finished) override;
  void stop() override;
  void pump();
  bool prepare(Slot* slot);
  void submit_prepared();
  void reap();
  void finish_unit(Job* job, size_t index, long result, bool asynchronous);

  aio_context_t context_ = 0;
  std::vector<Slot> slots_;
  std::vector<Slot*> free_;
  std::vector<struct iocb*> prepared_;
  std::deque<std::unique_ptr<Job>> waiting_;  // units not started yet
  JobQueue finished_;
};
