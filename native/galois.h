#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

// Arithmetic in GF(2^8) with the polynomial 0x11d, the field of dm-verity's forward error correction.
namespace galois {

constexpr size_t order = 255;  // of a, the generator of the field's units

struct Logarithms {
  std::array<uint8_t, 2 * order> exp{};  // doubled, so that sums of two logarithms need no modulo
  std::array<uint8_t, 256> log{};
  constexpr Logarithms() {
    unsigned value = 1;
    for (size_t i = 0; i < order; i++) {
      exp[i] = exp[i + order] = static_cast<uint8_t>(value);
      log[value] = static_cast<uint8_t>(i);
      value <<= 1;
      if (value & 0x100) value ^= 0x11d;
    }
  }
};
constexpr Logarithms logarithms;

constexpr uint8_t multiply(uint8_t a, uint8_t b) {
  return a && b ? logarithms.exp[logarithms.log[a] + logarithms.log[b]] : 0;
}
constexpr uint8_t divide(uint8_t a, uint8_t b) {
  return a ? logarithms.exp[logarithms.log[a] + order - logarithms.log[b]] : 0;
}
// value * a^exponent
constexpr uint8_t scale(uint8_t value, size_t exponent) {
  return value ? logarithms.exp[logarithms.log[value] + exponent % order] : 0;
}

static_assert(multiply(2, 0x80) == 0x1d && divide(0x1d, 0x80) == 2 && scale(1, 8) == 0x1d);

// dst[r][i] ^= factors[r] * src[i], for r < count and i < size. No dst overlaps src or another one.
using Accumulate = void (*)(const uint8_t* factors, size_t count, const uint8_t* src, size_t size, uint8_t* const* dst);

struct Path {
  const char* name;
  Accumulate accumulate;
};

// The ways that this processor can go, the fastest first; the last one is portable.
struct Paths {
  std::array<Path, 5> path{};
  size_t count = 0;
};
const Paths& paths();

}  // namespace galois
