#include "aio.h"
#include "arguments.h"
#include "engine_slot.h"
#include "exports.h"
#include "lanes.h"

namespace {

// The arguments `callback` and `ring` of an engine.
bool ring_of(const Napi::CallbackInfo& info, CompletionRing* ring) {
  size_t count = 0;
  ring->entries = static_cast<double*>(elements_of(info.Env(), info[2], napi_float64_array, &count));
  ring->capacity = count / CompletionRing::entry_size;
  return info[1].IsFunction() && ring->entries && ring->capacity;
}

// (lanes, callback, ring, niceness) -> engine
Napi::Value lanes_open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  CompletionRing ring;
  if (!ring_of(info, &ring) || !u32(env, info[0])) return number(env, -EINVAL);
  auto slot = std::make_shared<EngineSlot>();
  auto* lanes = new Lanes(env, info[1].As<Napi::Function>(), ring, u32(env, info[0]));
  if (long error = lanes->open_lanes(info[3].ToNumber().Int32Value())) return lanes->shut(), number(env, error);
  slot->target = lanes;
  lanes->set_owner(&slot->target);
  return make_handle<EngineSlot>(env, slot);
}

// (depth, callback, ring) -> engine
Napi::Value aio_open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  CompletionRing ring;
  if (!ring_of(info, &ring) || !u32(env, info[0])) return number(env, -EINVAL);
  auto slot = std::make_shared<EngineSlot>();
  auto* aio = new Aio(env, info[1].As<Napi::Function>(), ring, u32(env, info[0]));
  if (long error = aio->open_context()) return aio->shut(), number(env, error);
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

// (engine, id, op, flags, iv, assoc, src, dst, salt): one request
napi_value engine_submit(napi_env env, napi_callback_info info) {
  napi_value args[9];
  size_t count = 9;
  napi_get_cb_info(env, info, &count, args, nullptr, nullptr);
  auto* engine = handle_slot<EngineSlot>(env, args[0]);
  long error = engine && *engine && (*engine)->target ? 0 : -EBADF;
  auto* op = handle_slot<Op>(env, args[2]);
  if (!error && (!op || !*op)) error = -EBADF;
  auto job = std::make_unique<Job>();
  if (!error && !unit_of(env, args + 3, &job->units.first)) error = -EINVAL;
  if (!error && (*op)->users && job->units.first.staged != Staged::all) error = -EBUSY;
  if (!error) {
    job->id = u32(env, args[1]);
    job->use(*op);
    error = (*engine)->target->submit(std::move(job));
  }
  napi_value result;
  napi_create_int64(env, error, &result);
  return result;
}

// (engine, id, op, src): a piece of a message
Napi::Value engine_submit_update(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto* engine = handle_slot<EngineSlot>(env, info[0]);
  if (!engine || !*engine || !(*engine)->target) return number(env, -EBADF);
  long error;
  Op* op = op_of(env, info[2], &error);
  if (!op) return number(env, error);
  Bytes src = bytes_of(env, info[3]);
  Message* message = op->message();
  if (!src.data || !message) return number(env, message ? -EINVAL : -EOPNOTSUPP);
  auto job = std::make_unique<Job>();
  job->id = u32(env, info[1]);
  job->use(*handle_slot<Op>(env, info[2]));
  job->work = [message, src] { return message->update(src.data, src.size); };
  return number(env, (*engine)->target->submit(std::move(job)));
}

// The arguments (tfm, flags, ivs, src, dst, source stride, result stride, status, salt) of a batch. 0 or -errno.
constexpr size_t batch_arguments = 9;

long batch_of(napi_env env, const napi_value* args, Job* job) {
  job->tfm = tfm_of(env, args[0]);
  if (!job->tfm) return -EBADF;
  Units& units = job->units;
  job->status = static_cast<int32_t*>(elements_of(env, args[7], napi_int32_array, &units.count));
  if (!job->status || !units.count) return -EINVAL;
  Bytes ivs = bytes_of(env, args[2]), src = bytes_of(env, args[3]), dst = bytes_of(env, args[4]);
  Bytes salt = bytes_of(env, args[8]);
  units.src_stride = u32(env, args[5]);
  units.dst_stride = u32(env, args[6]);
  job->left = units.count;
  if (!src.data || !dst.data || src.size / units.count < units.src_stride ||
      dst.size / units.count < units.dst_stride || ivs.size % units.count)
    return -EINVAL;
  uint32_t flags = u32(env, args[1]);
  Unit& first = units.first;
  first.direction = flags & flag_encrypt ? Direction::encrypt : Direction::decrypt;
  first.iv = ivs.size ? ivs.data : nullptr;
  first.iv_size = ivs.size / units.count;
  first.src = src.data;
  first.src_size = units.src_stride;
  first.dst = dst.data;
  first.dst_size = units.dst_stride;
  first.salt = salt.data;
  first.salt_size = salt.size;
  first.salt_last = flags & flag_salt_last;
  return 0;
}

// (tfm, flags, ivs, src, dst, source stride, result stride, status, salt) -> bytes: in this thread
Napi::Value batch_run(const Napi::CallbackInfo& info) {
  napi_value args[batch_arguments];
  for (size_t i = 0; i < batch_arguments; i++) args[i] = info[i];
  Job job;
  long error = batch_of(info.Env(), args, &job);
  return number(info.Env(), error ? error : run_here(&job));
}

// (engine, id, tfm, flags, ivs, src, dst, source stride, result stride, status, salt)
Napi::Value engine_submit_batch(const Napi::CallbackInfo& info) {
  napi_value args[2 + batch_arguments];
  for (size_t i = 0; i < 2 + batch_arguments; i++) args[i] = info[i];
  Napi::Env env = info.Env();
  auto* engine = handle_slot<EngineSlot>(env, args[0]);
  if (!engine || !*engine || !(*engine)->target) return number(env, -EBADF);
  auto job = std::make_unique<Job>();
  job->id = u32(env, args[1]);
  long error = batch_of(env, args + 2, job.get());
  if (!error) error = (*engine)->target->submit(std::move(job));
  return number(env, error);
}

}  // namespace

void export_engine(Napi::Object exports) {
  export_function<lanes_open>(exports, "lanes_open");
  export_function<aio_open>(exports, "aio_open");
  export_function<engine_close>(exports, "engine_close");
  export_function<engine_submit_update>(exports, "engine_submit_update");
  export_function<engine_submit_batch>(exports, "engine_submit_batch");
  export_function<batch_run>(exports, "batch_run");
  export_raw_function<engine_submit>(exports, "engine_submit");
}
