#include "completions.h"

#include <sys/eventfd.h>
#include <unistd.h>

Completions::Completions(Napi::Env env, Napi::Function callback, CompletionRing ring)
    : env_(env), callback_(Napi::Weak(callback)), context_(env, "dmalg"), ring_(ring) {}

Completions::~Completions() {
  if (event_fd_ >= 0) ::close(event_fd_);
}

long Completions::open() {
  event_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd_ < 0) return -errno;
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env_, &loop);
  if (int error = uv_poll_init(loop, &poll_, event_fd_)) return error;
  polling_ = true;
  poll_.data = this;
  uv_poll_start(&poll_, UV_READABLE,
                [](uv_poll_t* poll, int, int) { static_cast<Completions*>(poll->data)->on_readable(); });
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
  napi_add_async_cleanup_hook(
      env_, [](napi_async_cleanup_hook_handle, void* self) { static_cast<Completions*>(self)->shut(); }, this, &hook_);
  return 0;
}

void Completions::shut() {
  if (shut_) return;
  shut_ = true;
  if (owner_) *owner_ = nullptr;
  stop();
  callback_.Reset();
  if (!polling_) {
    delete this;
    return;
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
    auto* self = static_cast<Completions*>(handle->data);
    napi_async_cleanup_hook_handle hook = self->hook_;
    delete self;
    napi_remove_async_cleanup_hook(hook);
  });
}

long Completions::submit(std::unique_ptr<Job> job) {
  if (!takes(*job)) return -EOPNOTSUPP;
  hold();
  try {
    start(std::move(job));
  } catch (const std::bad_alloc&) {
    release(1);
    throw;
  }
  return 0;
}

// While something is in flight the callback, and through it the engine and every buffer, must not be collected.
void Completions::hold() {
  if (in_flight_++ > 0) return;
  callback_.Ref();
  uv_ref(reinterpret_cast<uv_handle_t*>(&poll_));
}

void Completions::release(size_t count) {
  in_flight_ -= count;
  if (in_flight_ > 0) return;
  callback_.Unref();
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
}

void Completions::wake() {
  uint64_t one = 1;
  (void)!::write(event_fd_, &one, sizeof(one));
}

// The callback usually starts what waits for these completions, so it comes first. Emptying the eventfd after it cannot
// lose a wake-up, as what finished before that is looked for once more.
void Completions::on_readable() {
  deliver();
  if (shut_) return;
  uint64_t count;
  (void)!::read(event_fd_, &count, sizeof(count));
  deliver();
}

void Completions::deliver() {
  JobQueue finished;
  collect(&finished);
  if (finished.empty()) return;
  Napi::HandleScope scope(env_);
  Napi::Function callback = callback_.Value();
  release(finished.size());
  while (!finished.empty()) {
    size_t filled = 0;
    for (; !finished.empty() && filled < ring_.capacity; filled++) {
      std::unique_ptr<Job> job = finished.pop();
      double* entry = ring_.entries + filled * CompletionRing::entry_size;
      entry[0] = job->id;
      entry[1] = static_cast<double>(job->result());
      entry[2] = job->asynchronous ? 1 : 0;
      entry[3] = job->began_at;
      entry[4] = job->ended_at;
    }
    // The environment may be going away, or the callback may shut this object; it lives on until the loop lets go of
    // it.
    napi_env env = env_;
    bool more = !finished.empty();
    // Raw Node-API: when a worker is being terminated, calls into JavaScript fail, and that is no error of ours.
    napi_value receiver, count, error;
    napi_get_global(env, &receiver);
    napi_create_double(env, static_cast<double>(filled), &count);
    if (napi_make_callback(env, context_, receiver, callback, 1, &count, nullptr) == napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok)
      napi_fatal_exception(env, error);
    if (!more) return;
  }
}
