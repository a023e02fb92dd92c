#pragma once
#include <cstring>
#include <vector>

// Secrets leave memory here. explicit_bzero is never optimised away.
inline void wipe(void* data, size_t size) {
  if (size) explicit_bzero(data, size);
}

// A byte vector that wipes itself: for keys.
struct SecretBytes {
  std::vector<unsigned char> bytes;
  ~SecretBytes() { clear(); }
  void clear() {
    wipe(bytes.data(), bytes.size());
    bytes.clear();
  }
  void assign(const unsigned char* data, size_t size) {
    std::vector<unsigned char> fresh(data, data + size);
    clear();
    bytes.swap(fresh);
  }
};
