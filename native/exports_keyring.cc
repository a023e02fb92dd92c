#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "arguments.h"
#include "exports.h"

namespace {

// (type, description) -> the key's serial. No callout: what no keyring of the process has is not made (request_key(2)).
Napi::Value key_request(const Napi::CallbackInfo& info) {
  std::string type = info[0].As<Napi::String>(), description = info[1].As<Napi::String>();
  long serial = ::syscall(SYS_request_key, type.c_str(), description.c_str(), nullptr, 0);
  return number(info.Env(), serial < 0 ? -errno : serial);
}

// (serial, into) -> bytes of the payload, which is in `into` where it is that long (keyctl_read(3)). There is no copy
// here to be wiped.
Napi::Value key_read(const Napi::CallbackInfo& info) {
  Bytes into = bytes_of(info.Env(), info[1]);
  if (!into.data) return number(info.Env(), -EINVAL);
  int32_t serial = info[0].As<Napi::Number>().Int32Value();
  long size = ::syscall(SYS_keyctl, KEYCTL_READ, serial, into.data, into.size, 0);
  return number(info.Env(), size < 0 ? -errno : size);
}

}  // namespace

void export_keyring(Napi::Object exports) {
  export_function<key_request>(exports, "key_request");
  export_function<key_read>(exports, "key_read");
}
