#pragma once
#include <cstring>

// Secrets leave memory here. explicit_bzero is never optimised away.
inline void wipe(void* data, size_t size) {
  if (size) explicit_bzero(data, size);
}
