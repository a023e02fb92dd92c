#pragma once
#include <napi.h>

// The native functions, as lib/binding.ts declares them, each group in its exports_*.cc. Each function returns a number
// >= 0, a handle, or -errno. Arguments are validated in TypeScript; here only what could corrupt memory is: kind of
// handle, bounds, closed, in use.
void export_tfm(Napi::Env env, Napi::Object exports);
void export_op(Napi::Env env, Napi::Object exports);
void export_engine(Napi::Env env, Napi::Object exports);
void export_keyring(Napi::Env env, Napi::Object exports);
void export_file(Napi::Env env, Napi::Object exports);
void export_fec(Napi::Env env, Napi::Object exports);

// A function on raw Node-API: for what is called for each small request.
inline napi_value raw_function(napi_env env, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  return function;
}
