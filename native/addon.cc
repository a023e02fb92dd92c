// The native functions, as lib/binding.ts declares them. Each returns a number >= 0, a handle, or -errno. Arguments are
// validated in TypeScript; here only what could corrupt memory is: kind of handle, bounds, closed, in use.
#include <napi.h>

#ifdef __linux__
#include <sys/socket.h>
#include <unistd.h>

#include "aio.h"
#include "handle.h"
#include "kernel_tfm.h"
#include "lanes.h"
#include "library_tfm.h"

template <>
struct HandleKind<Tfm> {
  static constexpr napi_type_tag tag = {0x6f7f3c5d8a514b0eULL, 0x9a34a2d1c58be001ULL};
};
template <>
struct HandleKind<Op> {
  static constexpr napi_type_tag tag = {0x6f7f3c5d8a514b0eULL, 0x9a34a2d1c58be002ULL};
};
// An engine goes away by itself (environment torn down), so its handle holds a pointer that may become null.
struct EngineSlot {
  Completions* target = nullptr;
  ~EngineSlot() {
    if (!target) return;
    target->set_owner(nullptr);
    target->shut();
  }
};
template <>
struct HandleKind<EngineSlot> {
  static constexpr napi_type_tag tag = {0x6f7f3c5d8a514b0eULL, 0x9a34a2d1c58be003ULL};
};

namespace {

Napi::Value number(Napi::Env env, long value) { return Napi::Number::New(env, static_cast<double>(value)); }

uint32_t u32(napi_env env, napi_value value) {
  uint32_t result = 0;
  napi_get_value_uint32(env, value, &result);
  return result;
}

struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

// The bytes of a Uint8Array; none for null or anything else.
Bytes bytes_of(napi_env env, napi_value value) {
  Bytes bytes;
  napi_typedarray_type type;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &bytes.size, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array)
    return {};
  bytes.data = static_cast<uint8_t*>(data);
  if (!bytes.data && bytes.size == 0) {
    static uint8_t empty;  // "no bytes" is not "no buffer"
    bytes.data = &empty;
  }
  return bytes.data ? bytes : Bytes{};
}

std::shared_ptr<Tfm> tfm_of(napi_env env, napi_value value) {
  auto* slot = handle_slot<Tfm>(env, value);
  return slot ? *slot : nullptr;
}

Op* op_of(napi_env env, napi_value value, long* error) {
  auto* slot = handle_slot<Op>(env, value);
  *error = !slot || !*slot ? -EBADF : (*slot)->in_use ? -EBUSY : 0;
  return *error ? nullptr : slot->get();
}

// socket() alone: 0 when the kernel has AF_ALG, otherwise why not.
Napi::Value af_alg_probe(const Napi::CallbackInfo& info) {
  int fd = ::socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return number(info.Env(), -errno);
  ::close(fd);
  return number(info.Env(), 0);
}

// (type, name, feat, mask, syscall: [string]) -> tfm
Napi::Value kernel_open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::shared_ptr<Tfm> tfm;
  const char* syscall = "";
  long error = KernelTfm::open(static_cast<Type>(u32(env, info[0])), info[1].As<Napi::String>(), u32(env, info[2]),
                               u32(env, info[3]), &tfm, &syscall);
  if (!error) return make_handle<Tfm>(env, tfm);
  info[4].As<Napi::Array>().Set(0u, syscall);
  return number(env, error);
}

// (kind, evp name) -> tfm
Napi::Value library_open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::shared_ptr<Tfm> tfm;
  long error = LibraryTfm::open(static_cast<LibraryKind>(u32(env, info[0])), info[1].As<Napi::String>(), &tfm);
  return error ? number(env, error) : make_handle<Tfm>(env, tfm);
}

Napi::Value tfm_set_key(const Napi::CallbackInfo& info) {
  auto tfm = tfm_of(info.Env(), info[0]);
  Bytes key = bytes_of(info.Env(), info[1]);
  if (!tfm) return number(info.Env(), -EBADF);
  return number(info.Env(), key.data ? tfm->set_key(key.data, key.size) : -EINVAL);
}

Napi::Value tfm_set_key_serial(const Napi::CallbackInfo& info) {
  auto tfm = tfm_of(info.Env(), info[0]);
  return number(info.Env(), tfm ? tfm->set_key_serial(info[1].As<Napi::Number>().Int32Value()) : -EBADF);
}

Napi::Value tfm_set_authsize(const Napi::CallbackInfo& info) {
  auto tfm = tfm_of(info.Env(), info[0]);
  return number(info.Env(), tfm ? tfm->set_authsize(u32(info.Env(), info[1])) : -EBADF);
}

Napi::Value tfm_close(const Napi::CallbackInfo& info) {
  auto* slot = handle_slot<Tfm>(info.Env(), info[0]);
  if (!slot || !*slot) return number(info.Env(), -EBADF);
  (*slot)->close();
  slot->reset();
  return number(info.Env(), 0);
}

// (tfm) -> op
Napi::Value op_open(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto tfm = tfm_of(env, info[0]);
  std::shared_ptr<Op> op;
  long error = tfm ? tfm->open_op(&op) : -EBADF;
  return error ? number(env, error) : make_handle<Op>(env, op);
}

// (op) -> op with the same half-hashed message
Napi::Value op_clone(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  long error;
  std::shared_ptr<Op> copy;
  Op* op = op_of(env, info[0], &error);
  if (op) error = op->clone(&copy);
  return error ? number(env, error) : make_handle<Op>(env, copy);
}

// (op). One that is in flight is closed when it has completed.
Napi::Value op_close(const Napi::CallbackInfo& info) {
  auto* slot = handle_slot<Op>(info.Env(), info[0]);
  if (!slot || !*slot) return number(info.Env(), -EBADF);
  slot->reset();
  return number(info.Env(), 0);
}

Napi::Value op_reset(const Napi::CallbackInfo& info) {
  long error;
  Op* op = op_of(info.Env(), info[0], &error);
  return number(info.Env(), op ? op->reset() : error);
}

Napi::Value op_max_request(const Napi::CallbackInfo& info) {
  long error;
  Op* op = op_of(info.Env(), info[0], &error);
  return number(info.Env(), op ? op->max_request() : error);
}

// (op, src)
Napi::Value op_update(const Napi::CallbackInfo& info) {
  long error;
  Op* op = op_of(info.Env(), info[0], &error);
  Bytes src = bytes_of(info.Env(), info[1]);
  if (op && !src.data) error = -EINVAL;
  return number(info.Env(), error ? error : op->update(src.data, src.size));
}

// (op, dst)
Napi::Value op_final(const Napi::CallbackInfo& info) {
  long error;
  Op* op = op_of(info.Env(), info[0], &error);
  Bytes dst = bytes_of(info.Env(), info[1]);
  if (op && !dst.data) error = -EINVAL;
  return number(info.Env(), error ? error : op->final(dst.data, dst.size));
}

// Flags of a unit, shared with lib/binding.ts: bit 0 encrypt, bits 1 and 2 what is staged.
constexpr uint32_t flag_encrypt = 1;
constexpr uint32_t staged_shift = 1;

// The arguments (flags, iv|null, assoc, src, dst) of a unit. False when a buffer is missing.
bool unit_of(napi_env env, const napi_value* args, Unit* unit) {
  uint32_t flags = u32(env, args[0]);
  Bytes iv = bytes_of(env, args[1]), src = bytes_of(env, args[3]), dst = bytes_of(env, args[4]);
  unit->direction = flags & flag_encrypt ? Direction::encrypt : Direction::decrypt;
  unit->staged = static_cast<Staged>((flags >> staged_shift) & 3);
  unit->iv = iv.data;
  unit->iv_size = iv.size;
  unit->assoc_size = u32(env, args[2]);
  unit->src = src.data;
  unit->src_size = src.size;
  unit->dst = dst.data;
  unit->dst_size = dst.size;
  return src.data && dst.data;
}

// (op, flags, iv, assoc, src, dst) -> bytes. The shortest way: raw Node-API, as this is called for each small request.
napi_value op_run(napi_env env, napi_callback_info info) {
  napi_value args[6];
  size_t count = 6;
  napi_get_cb_info(env, info, &count, args, nullptr, nullptr);
  long error;
  Op* op = op_of(env, args[0], &error);
  Unit unit;
  if (op && !unit_of(env, args + 1, &unit)) error = -EINVAL;
  if (!error) error = op->run(unit);
  napi_value result;
  napi_create_int64(env, error, &result);
  return result;
}

// (op, flags, iv, assoc, src, dst): the data into the op, ahead of its IV. The hazard experiment alone (Staged::all)
// does this to an op whose last request is still in flight.
Napi::Value op_stage(const Napi::CallbackInfo& info) {
  napi_value args[6];
  for (size_t i = 0; i < 6; i++) args[i] = info[i];
  auto* op = handle_slot<Op>(info.Env(), args[0]);
  if (!op || !*op) return number(info.Env(), -EBADF);
  Unit unit;
  if (!unit_of(info.Env(), args + 1, &unit)) return number(info.Env(), -EINVAL);
  if ((*op)->in_use && unit.staged != Staged::all) return number(info.Env(), -EBUSY);
  return number(info.Env(), (*op)->stage(unit));
}

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

static Napi::Object init(Napi::Env env, Napi::Object exports) {
#define EXPORT(name) exports.Set(#name, Napi::Function::New<name>(env, #name))
  EXPORT(af_alg_probe);
  EXPORT(kernel_open);
  EXPORT(library_open);
  EXPORT(tfm_set_key);
  EXPORT(tfm_set_key_serial);
  EXPORT(tfm_set_authsize);
  EXPORT(tfm_close);
  EXPORT(op_open);
  EXPORT(op_clone);
  EXPORT(op_close);
  EXPORT(op_reset);
  EXPORT(op_max_request);
  EXPORT(op_update);
  EXPORT(op_final);
  EXPORT(op_stage);
  EXPORT(lanes_open);
  EXPORT(aio_open);
  EXPORT(engine_close);
  EXPORT(engine_submit_batch);
  EXPORT(batch_run);
#undef EXPORT
#define EXPORT_RAW(name)                                                          \
  do {                                                                            \
    napi_value function;                                                          \
    napi_create_function(env, #name, NAPI_AUTO_LENGTH, name, nullptr, &function); \
    exports.Set(#name, Napi::Value(env, function));                               \
  } while (0)
  EXPORT_RAW(op_run);
  EXPORT_RAW(engine_submit);
#undef EXPORT_RAW
  return exports;
}

#else  // not Linux: importing the package must not throw, using it does
static Napi::Object init(Napi::Env, Napi::Object exports) { return exports; }
#endif

NODE_API_MODULE(dmalg, init)
