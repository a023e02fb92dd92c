#pragma once
#include "completions.h"
#include "handle.h"

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
