#include <sys/socket.h>
#include <unistd.h>

#include "arguments.h"
#include "exports.h"
#include "kernel_tfm.h"
#include "library_tfm.h"

namespace {

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

Napi::Value tfm_set_limit(const Napi::CallbackInfo& info) {
  auto tfm = tfm_of(info.Env(), info[0]);
  if (!tfm) return number(info.Env(), -EBADF);
  tfm->set_limit(u32(info.Env(), info[1]));
  return number(info.Env(), 0);
}

Napi::Value tfm_close(const Napi::CallbackInfo& info) {
  auto* slot = handle_slot<Tfm>(info.Env(), info[0]);
  if (!slot || !*slot) return number(info.Env(), -EBADF);
  (*slot)->close();
  slot->reset();
  return number(info.Env(), 0);
}

}  // namespace

void export_tfm(Napi::Env env, Napi::Object exports) {
  exports.Set("af_alg_probe", Napi::Function::New<af_alg_probe>(env, "af_alg_probe"));
  exports.Set("kernel_open", Napi::Function::New<kernel_open>(env, "kernel_open"));
  exports.Set("library_open", Napi::Function::New<library_open>(env, "library_open"));
  exports.Set("tfm_set_key", Napi::Function::New<tfm_set_key>(env, "tfm_set_key"));
  exports.Set("tfm_set_key_serial", Napi::Function::New<tfm_set_key_serial>(env, "tfm_set_key_serial"));
  exports.Set("tfm_set_authsize", Napi::Function::New<tfm_set_authsize>(env, "tfm_set_authsize"));
  exports.Set("tfm_set_limit", Napi::Function::New<tfm_set_limit>(env, "tfm_set_limit"));
  exports.Set("tfm_close", Napi::Function::New<tfm_close>(env, "tfm_close"));
}
