#pragma once
#include <cstddef>
#include <cstdint>

// Bytes of a key: in pages that core dumps leave out and that are not swapped out where the process may lock them, and
// wiped when they go. Secrets share pages, so that the few pages which anybody may lock (RLIMIT_MEMLOCK) go far.
class SecretBytes {
 public:
  SecretBytes() = default;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { clear(); }
  // False when there is no memory: nothing has changed then.
  bool assign(const uint8_t* data, size_t size);
  // Zeroes, to be filled through data().
  bool allocate(size_t size);
  void clear();
  uint8_t* data() { return bytes_; }
  const uint8_t* data() const { return bytes_; }
  size_t size() const { return size_; }

 private:
  uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
};
