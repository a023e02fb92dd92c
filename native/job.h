#pragma once
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "tfm.h"

// CLOCK_MONOTONIC in microseconds, as lib/alg/monotonic.ts.
inline double monotonic() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// A batch of units, or one request (count 1, with its own op): what crosses into native at once.
struct Job {
  ~Job() {
    if (op) op->in_use = false;
  }
  uint32_t id = 0;
  std::shared_ptr<Tfm> tfm;  // of a batch: ops are borrowed from it
  std::shared_ptr<Op> op;    // of a request
  Units units;
  int32_t* status = nullptr;  // of a batch: bytes or -errno of each unit

  // Progress. Units may end on several threads.
  std::atomic<size_t> left{1};
  std::atomic<long> bytes{0};
  std::atomic<long> error{0};
  std::atomic<bool> asynchronous{true};
  size_t started = 0;
  // When its first unit began and its last one ended: monotonic(), or 0 where that cannot be told.
  double began_at = 0;
  double ended_at = 0;

  // Runs units `from` to `to`, all but the last of which are finished already. Returns the last one's outcome.
  long run(Op* with, size_t from, size_t to) {
    if (!status) return with->run(units.first);
    with->run_units(units.slice(from, to), status + from);
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
};

// Runs a job in the caller's thread: the sync engine.
inline long run_here(Job* job) {
  std::shared_ptr<Op> op = job->op;
  size_t last = job->units.count - 1;
  long error = op ? 0 : job->tfm->take_op(&op);
  for (size_t i = 0; error && i < last; i++) job->finish(i, error);
  job->finish(last, error ? error : job->run(op.get(), 0, job->units.count));
  if (!job->op && op) job->tfm->give_op(std::move(op));
  return job->result();
}
