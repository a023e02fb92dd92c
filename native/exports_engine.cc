#include "aio.h"
#include "arguments.h"
#include "engine_slot.h"
#include "exports.h"
#include "lanes.h"

namespace {

// (lanes, callback, ring) -> engine
Napi::Value lanes_open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto* lanes = new Lanes(env, info[1].As<Napi::Function>(), info[2].As<Napi::Float64Array>(), u32(env, info[0]));
  if (long error = lanes->open_lanes()) return lanes->shut(), number(env, error);
  auto slot = std::make_shared<EngineSlot>();
  slot->target = lanes;
  lanes->set_owner(&slot->target);
  return make_handle<EngineSlot>(env, slot);
}

// (depth, callback, ring) -> engine
Napi::Value aio_open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto* aio = new Aio(env, info[1].As<Napi::Function>(), info[2].As<Napi::Float64Array>(), u32(env, info[0]));
  if (long error = aio->open_context()) return aio->shut(), number(env, error);
  auto slot = std::make_shared<EngineSlot>();
  slot->target = aio;
  aio->set_owner(&slot->target);
  return make_handle<EngineSlot>(env, slot);
}

// Waits for what is in flight; its completions are not delivered any more.
Napi::Value engine_close(const Napi::CallbackInfo& info) {
  auto* slot = handle_slot<EngineSlot>(info.Env(), info[0]);
  if (!slot || !*slot || !(*slot)->target) return number(info.Env(), -EBADF);
  (*slot)->target->shut();
  return number(info.Env(), 0);
}

// (engine, id, op, flags, iv, assoc, src, dst): one request
napi_value engine_submit(napi_env env, napi_callback_info info) {
  napi_value args[8];
  size_t count = 8;
  napi_get_cb_info(env, info, &count, args, nullptr, nullptr);
  auto* engine = handle_slot<EngineSlot>(env, args[0]);
  long error = engine && *engine && (*engine)->target ? 0 : -EBADF;
  auto* op = handle_slot<Op>(env, args[2]);
  if (!error && (!op || !*op)) error = -EBADF;
  auto job = std::make_unique<Job>();
  if (!error && !unit_of(env, args + 3, &job->first)) error = -EINVAL;
  if (!error && (*op)->in_use && job->first.staged != Staged::all) error = -EBUSY;
  if (!error) {
    job->id = u32(env, args[1]);
    job->op = *op;
    job->op->in_use = true;
    error = (*engine)->target->submit(std::move(job));
  }
  napi_value result;
  napi_create_int64(env, error, &result);
  return result;
}

// The arguments (tfm, flags, ivs, src, dst, source stride, result stride, status) of a batch. 0 or -errno.
long batch_of(napi_env env, const napi_value* args, Job* job) {
  job->tfm = tfm_of(env, args[0]);
  if (!job->tfm) return -EBADF;
  napi_typedarray_type type;
  void* status = nullptr;
  if (napi_get_typedarray_info(env, args[7], &type, &job->count, &status, nullptr, nullptr) != napi_ok ||
      type != napi_int32_array || !status)
    return -EINVAL;
  Bytes ivs = bytes_of(env, args[2]), src = bytes_of(env, args[3]), dst = bytes_of(env, args[4]);
  job->src_stride = u32(env, args[5]);
  job->dst_stride = u32(env, args[6]);
  job->status = static_cast<int32_t*>(status);
  job->left = job->count;
  if (!src.data || !dst.data || src.size / job->count < job->src_stride || dst.size / job->count < job->dst_stride ||
      ivs.size % job->count)
    return -EINVAL;
  bool encrypt = u32(env, args[1]) & flag_encrypt;
  job->first.direction = encrypt ? Direction::encrypt : Direction::decrypt;
  job->first.iv = ivs.size ? ivs.data : nullptr;
  job->first.iv_size = ivs.size / job->count;
  job->first.src = src.data;
  job->first.src_size = job->src_stride;
  job->first.dst = dst.data;
  job->first.dst_size = job->dst_stride;
  return 0;
}

// (tfm, flags, ivs, src, dst, source stride, result stride, status) -> bytes: in this thread
Napi::Value batch_run(const Napi::CallbackInfo& info) {
  napi_value args[8];
  for (size_t i = 0; i < 8; i++) args[i] = info[i];
  Job job;
  long error = batch_of(info.Env(), args, &job);
  return number(info.Env(), error ? error : run_here(&job));
}

// (engine, id, tfm, flags, ivs, src, dst, source stride, result stride, status)
Napi::Value engine_submit_batch(const Napi::CallbackInfo& info) {
  napi_value args[10];
  for (size_t i = 0; i < 10; i++) args[i] = info[i];
  Napi::Env env = info.Env();
  auto* engine = handle_slot<EngineSlot>(env, args[0]);
  if (!engine || !*engine || !(*engine)->target) return number(env, -EBADF);
  auto job = std::make_unique<Job>();
  job->id = u32(env, args[1]);
  long error = batch_of(env, args + 2, job.get());
  return number(env, error ? error : (*engine)->target->submit(std::move(job)));
}

}  // namespace

void export_engine(Napi::Env env, Napi::Object exports) {
  exports.Set("lanes_open", Napi::Function::New<lanes_open>(env, "lanes_open"));
  exports.Set("aio_open", Napi::Function::New<aio_open>(env, "aio_open"));
  exports.Set("engine_close", Napi::Function::New<engine_close>(env, "engine_close"));
  exports.Set("engine_submit_batch", Napi::Function::New<engine_submit_batch>(env, "engine_submit_batch"));
  exports.Set("batch_run", Napi::Function::New<batch_run>(env, "batch_run"));
  exports.Set("engine_submit", raw_function(env, "engine_submit", engine_submit));
}
