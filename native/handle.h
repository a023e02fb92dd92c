#pragma once
#include <napi.h>

#include <memory>

// JavaScript handles: tagged, so that a handle of one kind is never read as another. A closed one holds nothing.
template <typename T>
struct HandleKind;

template <typename T>
Napi::Value make_handle(Napi::Env env, std::shared_ptr<T> target) {
  Napi::Object handle = Napi::Object::New(env);
  handle.TypeTag(&HandleKind<T>::tag);
  auto* holder = new std::shared_ptr<T>(std::move(target));
  auto release = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<T>*>(data); };
  // Fails only when the environment is going away.
  if (napi_wrap(env, handle, holder, release, nullptr, nullptr) != napi_ok) delete holder;
  return handle;
}

// Null when the value is no handle of this kind.
template <typename T>
std::shared_ptr<T>* handle_slot(napi_env env, napi_value value) {
  bool tagged = false;
  void* data = nullptr;
  if (napi_check_object_type_tag(env, value, &HandleKind<T>::tag, &tagged) != napi_ok || !tagged) return nullptr;
  napi_unwrap(env, value, &data);
  return static_cast<std::shared_ptr<T>*>(data);
}
