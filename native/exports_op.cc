#include "arguments.h"
#include "exports.h"

namespace {

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
  if (op) error = op->message() ? op->message()->clone(&copy) : -EOPNOTSUPP;
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
  if (op && !op->message()) error = -EOPNOTSUPP;
  return number(info.Env(), error ? error : op->message()->update(src.data, src.size));
}

// (op, dst)
Napi::Value op_final(const Napi::CallbackInfo& info) {
  long error;
  Op* op = op_of(info.Env(), info[0], &error);
  Bytes dst = bytes_of(info.Env(), info[1]);
  if (op && !dst.data) error = -EINVAL;
  if (op && !op->message()) error = -EOPNOTSUPP;
  return number(info.Env(), error ? error : op->message()->final(dst.data, dst.size));
}

// (op, flags, iv, assoc, src, dst, salt) -> bytes. The shortest way: raw Node-API, as this is called for each small
// request.
napi_value op_run(napi_env env, napi_callback_info info) {
  napi_value args[7];
  size_t count = 7;
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

// (op, flags, iv, assoc, src, dst, salt): the data into the op, ahead of its IV. With Staged::all, which the kernel's
// ops alone take, its last request may still be in flight: lib/crypto/request/shared-op.ts.
Napi::Value op_stage(const Napi::CallbackInfo& info) {
  napi_value args[7];
  for (size_t i = 0; i < 7; i++) args[i] = info[i];
  auto* op = handle_slot<Op>(info.Env(), args[0]);
  if (!op || !*op) return number(info.Env(), -EBADF);
  Unit unit;
  if (!unit_of(info.Env(), args + 1, &unit)) return number(info.Env(), -EINVAL);
  if (unit.staged == Staged::all && !(*op)->kernel()) return number(info.Env(), -EOPNOTSUPP);
  if ((*op)->users && unit.staged != Staged::all) return number(info.Env(), -EBUSY);
  return number(info.Env(), (*op)->stage(unit));
}

}  // namespace

void export_op(Napi::Object exports) {
  export_function<op_open>(exports, "op_open");
  export_function<op_clone>(exports, "op_clone");
  export_function<op_close>(exports, "op_close");
  export_function<op_reset>(exports, "op_reset");
  export_function<op_max_request>(exports, "op_max_request");
  export_function<op_update>(exports, "op_update");
  export_function<op_final>(exports, "op_final");
  export_function<op_stage>(exports, "op_stage");
  export_raw_function<op_run>(exports, "op_run");
}
