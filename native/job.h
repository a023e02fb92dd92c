#pragma once
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <functional>
#include <utility>

#include "tfm.h"

// CLOCK_MONOTONIC in microseconds, as lib/base/monotonic.ts.
inline double monotonic() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// What a lane can do for a job beside ciphers and hashes. Returns a number >= 0 or -errno; may throw std::bad_alloc.
using Work = std::function<long()>;

// What crosses into native at once: a batch of units, one request (count 1, with its own op), or other work.
struct Job {
  ~Job() {
    if (op) op->users--;
  }
  // It is the op's from now on, until it ends.
  void use(std::shared_ptr<Op> used) {
    op = std::move(used);
    op->users++;
  }
  uint32_t id = 0;
  std::shared_ptr<Tfm> tfm;  // of a batch: ops are borrowed from it
  std::shared_ptr<Op> op;    // of a request
  Work work;                 // with its op, if it has one
  Units units;
  int32_t* status = nullptr;  // of a batch: bytes or -errno of each unit

  // Progress. Units may end on several threads.
  std::atomic<size_t> left{1};
  std::atomic<long> bytes{0};
  std::atomic<long> error{0};
  std::atomic<bool> asynchronous{true};
  size_t started = 0;
  Job* next = nullptr;  // in a JobQueue
  // When its first unit began and its last one ended: monotonic(), or 0 where that cannot be told.
  double began_at = 0;
  double ended_at = 0;

  // Runs units `from` to `to` and finishes all but the last, whose outcome it returns.
  long run(size_t from, size_t to) {
    if (work) return run_work();
    if (op) return op->run(units.first);
    std::shared_ptr<Op> with;
    if (long none = tfm->take_op(&with)) {
      for (size_t i = from; i + 1 < to; i++) finish(i, none);
      return none;
    }
    with->run_units(units.slice(from, to), status + from);
    tfm->give_op(std::move(with));
    for (size_t i = from; i + 1 < to; i++) finish(i, status[i]);
    return status[to - 1];
  }
  // Notes the outcome of a unit. True when it was the last.
  bool finish(size_t index, long result) {
    if (status) status[index] = static_cast<int32_t>(result);
    if (result < 0) {
      long none = 0;
      error.compare_exchange_strong(none, result);
    } else {
      bytes += result;
    }
    return --left == 0;
  }
  long result() const { return error ? error.load() : bytes.load(); }

 private:
  long run_work() {
    try {
      return work();
    } catch (const std::bad_alloc&) {
      return -ENOMEM;
    }
  }
};

// Jobs in a row, which are its own. It takes no memory, so that what has finished can always be handed on.
class JobQueue {
 public:
  JobQueue() = default;
  JobQueue(const JobQueue&) = delete;
  ~JobQueue() {
    while (pop()) {
    }
  }
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  void push(Job* job) {
    (first_ ? last_->next : first_) = job;
    last_ = job;
    size_++;
  }
  // Null when there is none.
  std::unique_ptr<Job> pop() {
    std::unique_ptr<Job> job(first_);
    if (!job) return job;
    first_ = std::exchange(job->next, nullptr);
    size_--;
    return job;
  }
  void swap(JobQueue* other) {
    std::swap(first_, other->first_);
    std::swap(last_, other->last_);
    std::swap(size_, other->size_);
  }

 private:
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  size_t size_ = 0;
};

// Runs a job in the caller's thread: the sync engine.
inline long run_here(Job* job) {
  size_t last = job->units.count - 1;
  job->finish(last, job->run(0, job->units.count));
  return job->result();
}
