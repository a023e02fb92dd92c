#pragma once
#include <napi.h>

#include <cerrno>
#include <new>

// The native functions, as lib/base/binding.ts declares them, each group in its exports_*.cc. Each function returns a
// number
// >= 0, a handle, or -errno. Arguments are validated in TypeScript; here only what could corrupt memory is: kind of
// handle, bounds, closed, in use.
void export_tfm(Napi::Object exports);
void export_op(Napi::Object exports);
void export_engine(Napi::Object exports);
void export_keyring(Napi::Object exports);
void export_file(Napi::Object exports);
void export_fec(Napi::Object exports);
void export_kdf(Napi::Object exports);
void export_process(Napi::Object exports);

// Nothing may be thrown through Node's frames: where there is no memory a function returns -ENOMEM.
template <napi_callback function>
napi_value without_throwing(napi_env env, napi_callback_info info) {
  try {
    return function(env, info);
  } catch (const std::bad_alloc&) {
    return Napi::Number::New(env, -ENOMEM);
  }
}

// A function on raw Node-API: for what is called for each small request.
template <napi_callback function>
void export_raw_function(Napi::Object exports, const char* name) {
  napi_value value = nullptr;
  napi_create_function(exports.Env(), name, NAPI_AUTO_LENGTH, without_throwing<function>, nullptr, &value);
  exports.Set(name, value);
}

// Taking the arguments takes memory, too, where there are more than six.
template <Napi::Value (*function)(const Napi::CallbackInfo&)>
napi_value with_arguments(napi_env env, napi_callback_info raw) {
  Napi::CallbackInfo info(env, raw);
  return function(info);
}

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
void export_function(Napi::Object exports, const char* name) {
  export_raw_function<with_arguments<function>>(exports, name);
}
