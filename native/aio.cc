#include "aio.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "kernel_tfm.h"

// fs/aio.c:struct aio_ring. The context is the address of this ring; reading it saves io_getevents, and its tail tells
// which IOCBs were complete when io_submit returned.
struct Aio::Ring {
  unsigned id, count, head, tail, magic, compat_features, incompat_features, header_length;
  struct io_event events[];
};

namespace {

constexpr unsigned ring_magic = 0xa10a10a1;

unsigned load(const unsigned* word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

}  // namespace

long Aio::open_context() {
  if (syscall(SYS_io_setup, slots_.size(), &context_) < 0) return -errno;
  if (reinterpret_cast<Ring*>(context_)->magic != ring_magic) {
    syscall(SYS_io_destroy, context_);
    return -ENOTSUP;
  }
  for (auto slot = slots_.rbegin(); slot != slots_.rend(); ++slot) free_.push_back(&*slot);
  return open();
}

bool Aio::takes(const Job& job) const {
  return !job.work && ((job.op && job.op->kernel()) || (job.tfm && job.tfm->kernel()));
}

void Aio::start(std::unique_ptr<Job> job) {
  waiting_.push_back(std::move(job));
  pump();
}

void Aio::finish_unit(Job* job, size_t index, long result, bool asynchronous) {
  if (!asynchronous) job->asynchronous = false;
  // A job's memory belongs to waiting_ until its last unit has started, and to its slots after that.
  if (job->finish(index, result)) finished_.push(job);
}

// Sends the data of the slot's unit and fills in its IOCB. False when that failed and the unit is finished.
bool Aio::prepare(Slot* slot) {
  Job* job = slot->job;
  std::shared_ptr<Op> op = job->op;
  long error = op ? 0 : job->tfm->take_op(&op);
  slot->op = KernelOp::of(op);
  Unit unit = job->units.unit(slot->index);
  if (!error) error = slot->op ? slot->op->build(unit) : -EOPNOTSUPP;
  if (error) {
    slot->op.reset();
    finish_unit(job, slot->index, error, false);
    wake();
    return false;
  }
  slot->fresh = true;
  slot->inside = false;
  slot->iocb = {};
  slot->iocb.aio_data = reinterpret_cast<uintptr_t>(slot);
  slot->iocb.aio_lio_opcode = IOCB_CMD_PREAD;
  slot->iocb.aio_fildes = static_cast<uint32_t>(slot->op->fd());
  slot->iocb.aio_buf = reinterpret_cast<uintptr_t>(unit.dst);
  slot->iocb.aio_nbytes = unit.dst_size;
  slot->iocb.aio_flags = IOCB_FLAG_RESFD;
  slot->iocb.aio_resfd = static_cast<uint32_t>(event_fd());
  return true;
}

void Aio::pump() {
  while (!free_.empty() && !waiting_.empty()) {
    Job* job = waiting_.front().get();
    Slot* slot = free_.back();
    slot->job = job;
    slot->index = job->started++;
    if (job->started == job->units.count) {
      waiting_.front().release();
      waiting_.pop_front();
    }
    if (!prepare(slot)) continue;
    free_.pop_back();
    prepared_.push_back(&slot->iocb);
  }
  submit_prepared();
}

void Aio::submit_prepared() {
  for (size_t at = 0; at < prepared_.size();) {
    long taken = syscall(SYS_io_submit, context_, prepared_.size() - at, prepared_.data() + at);
    if (taken > 0) {
      at += static_cast<size_t>(taken);
      continue;
    }
    // The kernel refused the first of them, and it will have no event. Its data is in the socket already.
    long error = taken < 0 ? -errno : -EAGAIN;
    auto* slot = reinterpret_cast<Slot*>(prepared_[at++]->aio_data);
    slot->op->note_result(error);
    finish_unit(slot->job, slot->index, error, false);
    slot->op.reset();
    free_.push_back(slot);
    wake();
  }
  auto* ring = reinterpret_cast<Ring*>(context_);
  for (unsigned at = ring->head, tail = load(&ring->tail); at != tail; at = (at + 1) % ring->count) {
    auto* slot = reinterpret_cast<Slot*>(ring->events[at].data);
    if (slot->fresh) slot->inside = true;
  }
  for (struct iocb* iocb : prepared_) reinterpret_cast<Slot*>(iocb->aio_data)->fresh = false;
  prepared_.clear();
}

void Aio::reap() {
  auto* ring = reinterpret_cast<Ring*>(context_);
  unsigned at = ring->head;
  for (unsigned tail = load(&ring->tail); at != tail; at = (at + 1) % ring->count) {
    const struct io_event& event = ring->events[at];
    auto* slot = reinterpret_cast<Slot*>(event.data);
    long result = static_cast<long>(event.res);
    Job* job = slot->job;
    slot->op->note_result(result);
    if (!job->op) job->tfm->give_op(std::move(slot->op));
    slot->op.reset();
    finish_unit(job, slot->index, result, !slot->inside);
    free_.push_back(slot);
  }
  __atomic_store_n(&ring->head, at, __ATOMIC_RELEASE);
}

void Aio::collect(JobQueue* finished) {
  reap();
  pump();
  finished->swap(&finished_);
}

void Aio::stop() {
  if (!context_) return;
  syscall(SYS_io_destroy, context_);  // returns when nothing is in flight
  context_ = 0;
  // Jobs with units that never started are still in waiting_; the others belong to their slots alone.
  for (Slot& slot : slots_)
    if (slot.op) {
      slot.op.reset();
      if (--slot.job->left == 0 && slot.job->started == slot.job->units.count) delete slot.job;
    }
  waiting_.clear();
  JobQueue().swap(&finished_);
}
