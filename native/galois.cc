#include "galois.h"

#include <algorithm>

#ifdef __x86_64__
#include <immintrin.h>
#endif
#ifdef __aarch64__
#include <arm_neon.h>
#endif

namespace galois {
namespace {

// The products of each factor: with the 16 low halves of a byte, and with the 16 high ones. 8 KiB.
struct Halves {
  alignas(64) uint8_t of[256][32]{};
  constexpr Halves() {
    for (unsigned factor = 0; factor < 256; factor++)
      for (unsigned half = 0; half < 16; half++) {
        of[factor][half] = multiply(static_cast<uint8_t>(factor), static_cast<uint8_t>(half));
        of[factor][16 + half] = multiply(static_cast<uint8_t>(factor), static_cast<uint8_t>(half << 4));
      }
  }
};
constexpr Halves halves;

void portable(const uint8_t* factors, size_t count, const uint8_t* src, size_t size, uint8_t* const* dst) {
  for (size_t r = 0; r < count; r++) {
    // All products of one factor stay in the first cache.
    const uint8_t* low = halves.of[factors[r]];
    uint8_t product[256];
    for (unsigned byte = 0; byte < 256; byte++) product[byte] = low[byte & 15] ^ low[16 + (byte >> 4)];
    for (size_t i = 0; i < size; i++) dst[r][i] ^= product[src[i]];
  }
}

// What is left over of whole vectors.
void remainder(const uint8_t* factors, size_t count, const uint8_t* src, size_t from, size_t size,
               uint8_t* const* dst) {
  for (size_t r = 0; r < count; r++) {
    const uint8_t* low = halves.of[factors[r]];
    for (size_t i = from; i < size; i++) dst[r][i] ^= low[src[i] & 15] ^ low[16 + (src[i] >> 4)];
  }
}

#ifdef __x86_64__

// Multiplication by a factor as the matrix that GF2P8AFFINEQB takes: byte 7 - i has the bits of the argument that bit i
// of the result is the sum of. (GF2P8MULB is of another field, with the polynomial 0x11b.)
struct Matrices {
  uint64_t of[256]{};
  constexpr Matrices() {
    for (unsigned factor = 0; factor < 256; factor++)
      for (unsigned bit = 0; bit < 8; bit++) {
        uint64_t row = 0;
        for (unsigned argument = 0; argument < 8; argument++) {
          uint8_t product = multiply(static_cast<uint8_t>(factor), static_cast<uint8_t>(1u << argument));
          row |= static_cast<uint64_t>(product >> bit & 1) << argument;
        }
        of[factor] |= row << 8 * (7 - bit);
      }
  }
};
constexpr Matrices matrices;

// Four vectors of src stay in registers while every row of dst is brought in once.
__attribute__((target("gfni,avx512f,avx512bw"))) void gfni512(const uint8_t* factors, size_t count, const uint8_t* src,
                                                              size_t size, uint8_t* const* dst) {
  size_t i = 0;
  for (; i + 256 <= size; i += 256) {
    __m512i s0 = _mm512_loadu_si512(src + i), s1 = _mm512_loadu_si512(src + i + 64);
    __m512i s2 = _mm512_loadu_si512(src + i + 128), s3 = _mm512_loadu_si512(src + i + 192);
    for (size_t r = 0; r < count; r++) {
      __m512i matrix = _mm512_set1_epi64(static_cast<long long>(matrices.of[factors[r]]));
      uint8_t* to = dst[r] + i;
      __m512i d0 = _mm512_loadu_si512(to), d1 = _mm512_loadu_si512(to + 64);
      __m512i d2 = _mm512_loadu_si512(to + 128), d3 = _mm512_loadu_si512(to + 192);
      _mm512_storeu_si512(to, _mm512_xor_si512(d0, _mm512_gf2p8affine_epi64_epi8(s0, matrix, 0)));
      _mm512_storeu_si512(to + 64, _mm512_xor_si512(d1, _mm512_gf2p8affine_epi64_epi8(s1, matrix, 0)));
      _mm512_storeu_si512(to + 128, _mm512_xor_si512(d2, _mm512_gf2p8affine_epi64_epi8(s2, matrix, 0)));
      _mm512_storeu_si512(to + 192, _mm512_xor_si512(d3, _mm512_gf2p8affine_epi64_epi8(s3, matrix, 0)));
    }
  }
  for (; i + 64 <= size; i += 64) {
    __m512i s = _mm512_loadu_si512(src + i);
    for (size_t r = 0; r < count; r++) {
      __m512i matrix = _mm512_set1_epi64(static_cast<long long>(matrices.of[factors[r]]));
      __m512i d = _mm512_loadu_si512(dst[r] + i);
      _mm512_storeu_si512(dst[r] + i, _mm512_xor_si512(d, _mm512_gf2p8affine_epi64_epi8(s, matrix, 0)));
    }
  }
  remainder(factors, count, src, i, size, dst);
}

__attribute__((target("gfni,avx2"))) void gfni256(const uint8_t* factors, size_t count, const uint8_t* src, size_t size,
                                                  uint8_t* const* dst) {
  size_t i = 0;
  for (; i + 64 <= size; i += 64) {
    __m256i s0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + i));
    __m256i s1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + i + 32));
    for (size_t r = 0; r < count; r++) {
      __m256i matrix = _mm256_set1_epi64x(static_cast<long long>(matrices.of[factors[r]]));
      auto* to = reinterpret_cast<__m256i*>(dst[r] + i);
      __m256i d0 = _mm256_loadu_si256(to), d1 = _mm256_loadu_si256(to + 1);
      _mm256_storeu_si256(to, _mm256_xor_si256(d0, _mm256_gf2p8affine_epi64_epi8(s0, matrix, 0)));
      _mm256_storeu_si256(to + 1, _mm256_xor_si256(d1, _mm256_gf2p8affine_epi64_epi8(s1, matrix, 0)));
    }
  }
  remainder(factors, count, src, i, size, dst);
}

__attribute__((target("avx2"))) void avx2(const uint8_t* factors, size_t count, const uint8_t* src, size_t size,
                                          uint8_t* const* dst) {
  const __m256i mask = _mm256_set1_epi8(15);
  size_t i = 0;
  for (; i + 64 <= size; i += 64) {
    __m256i s0 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + i));
    __m256i s1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + i + 32));
    __m256i low0 = _mm256_and_si256(s0, mask), high0 = _mm256_and_si256(_mm256_srli_epi64(s0, 4), mask);
    __m256i low1 = _mm256_and_si256(s1, mask), high1 = _mm256_and_si256(_mm256_srli_epi64(s1, 4), mask);
    for (size_t r = 0; r < count; r++) {
      const auto* table = reinterpret_cast<const __m128i*>(halves.of[factors[r]]);
      __m256i low = _mm256_broadcastsi128_si256(_mm_load_si128(table));
      __m256i high = _mm256_broadcastsi128_si256(_mm_load_si128(table + 1));
      auto* to = reinterpret_cast<__m256i*>(dst[r] + i);
      __m256i p0 = _mm256_xor_si256(_mm256_shuffle_epi8(low, low0), _mm256_shuffle_epi8(high, high0));
      __m256i p1 = _mm256_xor_si256(_mm256_shuffle_epi8(low, low1), _mm256_shuffle_epi8(high, high1));
      _mm256_storeu_si256(to, _mm256_xor_si256(_mm256_loadu_si256(to), p0));
      _mm256_storeu_si256(to + 1, _mm256_xor_si256(_mm256_loadu_si256(to + 1), p1));
    }
  }
  remainder(factors, count, src, i, size, dst);
}

__attribute__((target("ssse3"))) void ssse3(const uint8_t* factors, size_t count, const uint8_t* src, size_t size,
                                            uint8_t* const* dst) {
  const __m128i mask = _mm_set1_epi8(15);
  size_t i = 0;
  for (; i + 16 <= size; i += 16) {
    __m128i s = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i));
    __m128i low = _mm_and_si128(s, mask), high = _mm_and_si128(_mm_srli_epi64(s, 4), mask);
    for (size_t r = 0; r < count; r++) {
      const auto* table = reinterpret_cast<const __m128i*>(halves.of[factors[r]]);
      auto* to = reinterpret_cast<__m128i*>(dst[r] + i);
      __m128i product = _mm_xor_si128(_mm_shuffle_epi8(_mm_load_si128(table), low),
                                      _mm_shuffle_epi8(_mm_load_si128(table + 1), high));
      _mm_storeu_si128(to, _mm_xor_si128(_mm_loadu_si128(to), product));
    }
  }
  remainder(factors, count, src, i, size, dst);
}

#endif

#ifdef __aarch64__

void neon(const uint8_t* factors, size_t count, const uint8_t* src, size_t size, uint8_t* const* dst) {
  const uint8x16_t mask = vdupq_n_u8(15);
  size_t i = 0;
  for (; i + 32 <= size; i += 32) {
    uint8x16_t s0 = vld1q_u8(src + i), s1 = vld1q_u8(src + i + 16);
    uint8x16_t low0 = vandq_u8(s0, mask), high0 = vshrq_n_u8(s0, 4);
    uint8x16_t low1 = vandq_u8(s1, mask), high1 = vshrq_n_u8(s1, 4);
    for (size_t r = 0; r < count; r++) {
      uint8x16_t low = vld1q_u8(halves.of[factors[r]]), high = vld1q_u8(halves.of[factors[r]] + 16);
      uint8_t* to = dst[r] + i;
      uint8x16_t p0 = veorq_u8(vqtbl1q_u8(low, low0), vqtbl1q_u8(high, high0));
      uint8x16_t p1 = veorq_u8(vqtbl1q_u8(low, low1), vqtbl1q_u8(high, high1));
      vst1q_u8(to, veorq_u8(vld1q_u8(to), p0));
      vst1q_u8(to + 16, veorq_u8(vld1q_u8(to + 16), p1));
    }
  }
  remainder(factors, count, src, i, size, dst);
}

#endif

Paths available() {
  Paths found;
  auto add = [&](const char* name, Accumulate accumulate) { found.path[found.count++] = {name, accumulate}; };
#ifdef __x86_64__
  __builtin_cpu_init();
  bool has_gfni = __builtin_cpu_supports("gfni");
  if (has_gfni && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) add("gfni512", gfni512);
  if (has_gfni && __builtin_cpu_supports("avx2")) add("gfni256", gfni256);
  if (__builtin_cpu_supports("avx2")) add("avx2", avx2);
  if (__builtin_cpu_supports("ssse3")) add("ssse3", ssse3);
#endif
#ifdef __aarch64__
  add("neon", neon);
#endif
  add("portable", portable);
  return found;
}

}  // namespace

const Paths& paths() {
  static const Paths found = available();
  return found;
}

}  // namespace galois
