#pragma once
#include <condition_variable>
#include <deque>
#include <thread>
#include <vector>

#include "completions.h"

// Worker threads. A batch is cut into one slice of consecutive units for each lane; a request is one slice.
class Lanes : public Completions {
 public:
  Lanes(Napi::Env env, Napi::Function callback, CompletionRing ring, size_t count)
      : Completions(env, callback, ring), count_(count) {}
  // Starts the threads with this niceness, which the environment must permit. Returns 0 or -errno.
  long open_lanes(int nice);

 private:
  struct Slice {
    Job* job;
    size_t from, to;
  };
  // Whatever a job may be, but an op that another lane has.
  bool takes(const Job& job) const override { return job.units.first.staged != Staged::all; }
  void start(std::unique_ptr<Job> job) override;
  void collect(JobQueue* finished) override;
  void stop() override;
  long start_threads();
  void work();
  void run(const Slice& slice);

  size_t count_;
  std::vector<std::thread> threads_;
  std::mutex lock_;
  std::condition_variable ready_;
  std::deque<Slice> slices_;
  JobQueue finished_;
  bool stopping_ = false;
};
