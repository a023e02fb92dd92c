#include "lanes.h"

#include <sys/resource.h>

#include <csignal>
#include <system_error>

long Lanes::open_lanes(int nice) {
  // Threads inherit it. On Linux it belongs to the thread that asks, and giving priority up again is always permitted.
  int before_nice = getpriority(PRIO_PROCESS, 0);
  if (nice && setpriority(PRIO_PROCESS, 0, nice)) return -errno;
  long error = open();
  if (!error) error = start_threads();
  if (nice) setpriority(PRIO_PROCESS, 0, before_nice);
  return error;
}

long Lanes::start_threads() {
  long error = 0;
  // Signals are for the threads that Node runs.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    for (size_t i = 0; i < count_; i++) {
      threads_.emplace_back([this] { work(); });
      pthread_setname_np(threads_.back().native_handle(), ("dmalg-lane-" + std::to_string(i)).substr(0, 15).c_str());
    }
  } catch (const std::system_error& failure) {
    error = -failure.code().value();
  } catch (const std::bad_alloc&) {
    error = -ENOMEM;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

void Lanes::start(std::unique_ptr<Job> job) {
  size_t pieces = job->tfm ? std::min(job->units.count, count_) : 1;
  size_t count = job->units.count;
  {
    std::lock_guard<std::mutex> guard(lock_);
    size_t before = slices_.size();
    try {
      for (size_t i = 0; i < pieces; i++) slices_.push_back({job.get(), count * i / pieces, count * (i + 1) / pieces});
    } catch (const std::bad_alloc&) {
      while (slices_.size() > before) slices_.pop_back();
      throw;
    }
    (void)job.release();  // its last slice hands it back through finished_
  }
  if (pieces > 1)
    ready_.notify_all();
  else
    ready_.notify_one();
}

void Lanes::run(const Slice& slice) {
  Job* job = slice.job;
  // Slices are taken in order, so the first begins first.
  if (slice.from == 0) job->began_at = monotonic();
  long result = job->run(slice.from, slice.to);
  double ended = monotonic();
  // Once its last unit here is finished, the job is another thread's.
  if (!job->finish(slice.to - 1, result)) return;
  job->ended_at = ended;
  std::lock_guard<std::mutex> guard(lock_);
  finished_.push(job);
  if (finished_.size() == 1) wake();
}

void Lanes::work() {
  std::unique_lock<std::mutex> guard(lock_);
  for (;;) {
    ready_.wait(guard, [this] { return stopping_ || !slices_.empty(); });
    if (slices_.empty()) return;
    Slice slice = slices_.front();
    slices_.pop_front();
    guard.unlock();
    run(slice);
    guard.lock();
  }
}

void Lanes::collect(JobQueue* finished) {
  std::lock_guard<std::mutex> guard(lock_);
  finished->swap(&finished_);
}

void Lanes::stop() {
  {
    std::lock_guard<std::mutex> guard(lock_);
    stopping_ = true;
    // What has not begun will not: each slice ends its units unrun.
    for (const Slice& slice : slices_) {
      bool last = false;
      for (size_t i = slice.from; i < slice.to; i++) last = slice.job->finish(i, -ECANCELED);
      if (last) finished_.push(slice.job);
    }
    slices_.clear();
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  JobQueue().swap(&finished_);
}
