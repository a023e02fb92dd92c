#pragma once
#include <napi.h>

#include "handle.h"
#include "tfm.h"

// How the exported functions read their arguments: private to exports_*.cc.

template <>
struct HandleKind<Tfm> {
  static constexpr napi_type_tag tag = {0x6f7f3c5d8a514b0eULL, 0x9a34a2d1c58be001ULL};
};
template <>
struct HandleKind<Op> {
  static constexpr napi_type_tag tag = {0x6f7f3c5d8a514b0eULL, 0x9a34a2d1c58be002ULL};
};

inline Napi::Value number(Napi::Env env, long value) { return Napi::Number::New(env, static_cast<double>(value)); }

inline uint32_t u32(napi_env env, napi_value value) {
  uint32_t result = 0;
  napi_get_value_uint32(env, value, &result);
  return result;
}

// The memory of a view of this kind, and how many elements it has, as Node-API knows them: JavaScript can give a view
// any properties and any prototype. Null when the value is no such view, or a proxy of one. A detached one has no
// elements. Shared and resizable memory is refused in lib/base/bytes.ts: Node-API cannot tell the latter.
inline void* elements_of(napi_env env, napi_value value, napi_typedarray_type expected, size_t* count) {
  napi_typedarray_type type;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, value, &type, count, &data, nullptr, nullptr) != napi_ok || type != expected) {
    *count = 0;
    return nullptr;
  }
  static double empty;  // "no elements" is not "no view"
  if (!data) *count = 0;
  return *count ? data : &empty;
}

struct Bytes {
  uint8_t* data = nullptr;
  size_t size = 0;
};

// The bytes of a Uint8Array; none for null or anything else.
inline Bytes bytes_of(napi_env env, napi_value value) {
  Bytes bytes;
  bytes.data = static_cast<uint8_t*>(elements_of(env, value, napi_uint8_array, &bytes.size));
  return bytes;
}

inline std::shared_ptr<Tfm> tfm_of(napi_env env, napi_value value) {
  auto* slot = handle_slot<Tfm>(env, value);
  return slot ? *slot : nullptr;
}

inline Op* op_of(napi_env env, napi_value value, long* error) {
  auto* slot = handle_slot<Op>(env, value);
  *error = !slot || !*slot ? -EBADF : (*slot)->users ? -EBUSY : 0;
  return *error ? nullptr : slot->get();
}

// Flags of a unit, shared with lib/base/binding.ts: bit 0 encrypt, bits 1 and 2 what is staged, bit 3 the salt is last.
constexpr uint32_t flag_encrypt = 1;
constexpr uint32_t staged_shift = 1;
constexpr uint32_t flag_salt_last = 8;

// The arguments (flags, iv|null, assoc, src, dst, salt|null) of a unit. False when a buffer is missing.
inline bool unit_of(napi_env env, const napi_value* args, Unit* unit) {
  uint32_t flags = u32(env, args[0]);
  Bytes iv = bytes_of(env, args[1]), src = bytes_of(env, args[3]), dst = bytes_of(env, args[4]);
  Bytes salt = bytes_of(env, args[5]);
  unit->direction = flags & flag_encrypt ? Direction::encrypt : Direction::decrypt;
  unit->staged = static_cast<Staged>((flags >> staged_shift) & 3);
  unit->iv = iv.data;
  unit->iv_size = iv.size;
  unit->assoc_size = u32(env, args[2]);
  unit->src = src.data;
  unit->src_size = src.size;
  unit->dst = dst.data;
  unit->dst_size = dst.size;
  unit->salt = salt.data;
  unit->salt_size = salt.size;
  unit->salt_last = flags & flag_salt_last;
  return src.data && dst.data;
}
