#pragma once
#include <napi.h>
#include <uv.h>

#include <memory>

#include "job.h"

// Where JavaScript reads completions: entries {id, bytes or -errno, 1 if asynchronous, when it began, when it ended},
// the times as monotonic() or 0. The callback, which keeps this memory alive, gets their number.
struct CompletionRing {
  static constexpr size_t entry_size = 5;
  double* entries = nullptr;
  size_t capacity = 0;  // entries, at least one
};

// Brings what has finished elsewhere (lanes, the kernel's AIO) to the JavaScript thread: an eventfd in the event loop,
// and one call of the callback for as many completions as there are. The loop stays alive only while something is in
// flight. Destroyed by close(), or by the environment's cleanup hook, or by the handle's finalizer: whoever is first.
class Completions {
 public:
  Completions(Napi::Env env, Napi::Function callback, CompletionRing ring);
  // Opens the eventfd and puts it into the loop. Returns 0 or -errno.
  long open();
  // Stops, waits for all that is in flight, closes, and deletes itself when the loop has let go.
  void shut();
  // Where the JavaScript handle keeps its pointer: set to null when the object goes.
  void set_owner(Completions** owner) { owner_ = owner; }
  // Returns 0, or -EOPNOTSUPP for a job that this engine does not run. Where there is no memory it throws
  // std::bad_alloc. The job is gone then.
  long submit(std::unique_ptr<Job> job);

 protected:
  virtual ~Completions();
  // Whether it can run the job.
  virtual bool takes(const Job& job) const = 0;
  // Takes the job, which finishes later. Where there is no memory for that it throws std::bad_alloc, and the job is
  // gone.
  virtual void start(std::unique_ptr<Job> job) = 0;
  // Takes the finished jobs. On the JavaScript thread.
  virtual void collect(JobQueue* finished) = 0;
  // Returns when nothing in flight can touch a buffer any more.
  virtual void stop() = 0;
  // Makes the loop call collect(). From any thread.
  void wake();
  int event_fd() const { return event_fd_; }

 private:
  void on_readable();
  void deliver();
  void hold();
  void release(size_t count);

  Napi::Env env_;
  Napi::FunctionReference callback_;
  Napi::AsyncContext context_;
  CompletionRing ring_;
  int event_fd_ = -1;
  uv_poll_t poll_;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  size_t in_flight_ = 0;
  bool polling_ = false;
  bool shut_ = false;
  Completions** owner_ = nullptr;
};
