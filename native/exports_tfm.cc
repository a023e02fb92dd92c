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
  if (u32(env, info[0]) > static_cast<uint32_t>(Type::rng)) return number(env, -EINVAL);
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
  uint32_t limit = u32(info.Env(), info[1]);
  if (!tfm || !limit) return number(info.Env(), tfm ? -EINVAL : -EBADF);
  tfm->set_limit(limit);
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

void export_tfm(Napi::Object exports) {
  export_function<af_alg_probe>(exports, "af_alg_probe");
  export_function<kernel_open>(exports, "kernel_open");
  export_function<library_open>(exports, "library_open");
  export_function<tfm_set_key>(exports, "tfm_set_key");
  export_function<tfm_set_key_serial>(exports, "tfm_set_key_serial");
  export_function<tfm_set_authsize>(exports, "tfm_set_authsize");
  export_function<tfm_set_limit>(exports, "tfm_set_limit");
  export_function<tfm_close>(exports, "tfm_close");
}
