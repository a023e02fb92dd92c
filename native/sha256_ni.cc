#include "sha256_ni.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define SHA_TARGET __attribute__((target("sha,sse4.1")))
#define SHA_INLINE SHA_TARGET inline __attribute__((always_inline))

namespace {

// FIPS 180-4, 4.2.2
alignas(16) const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// A message being hashed: the state in the order that the instructions want, and the last 16 words of its schedule.
struct Stream {
  __m128i abef, cdgh;
  __m128i words[4];
};

SHA_INLINE void load(Stream* stream, const uint32_t* state) {
  __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state));       // d c b a
  __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state + 4));  // h g f e
  low = _mm_shuffle_epi32(low, 0xb1);                                           // c d a b
  high = _mm_shuffle_epi32(high, 0x1b);                                         // e f g h
  stream->abef = _mm_alignr_epi8(low, high, 8);
  stream->cdgh = _mm_blend_epi16(high, low, 0xf0);
}

SHA_INLINE void store(const Stream& stream, uint32_t* state) {
  __m128i low = _mm_shuffle_epi32(stream.abef, 0x1b);   // f e b a
  __m128i high = _mm_shuffle_epi32(stream.cdgh, 0xb1);  // d c h g
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state), _mm_blend_epi16(low, high, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(state + 4), _mm_alignr_epi8(high, low, 8));
}

SHA_INLINE void take(Stream* stream, const uint8_t* block) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
  for (int i = 0; i < 4; i++)
    stream->words[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + i), swap);
}

// Rounds 4 * index to 4 * index + 3; then the schedule's words for 16 rounds later take the place of those used.
SHA_INLINE void rounds(Stream* stream, int index) {
  __m128i* words = stream->words;
  __m128i used = words[index & 3];
  __m128i sum = _mm_add_epi32(used, _mm_load_si128(reinterpret_cast<const __m128i*>(constants) + index));
  stream->cdgh = _mm_sha256rnds2_epu32(stream->cdgh, stream->abef, sum);
  stream->abef = _mm_sha256rnds2_epu32(stream->abef, stream->cdgh, _mm_shuffle_epi32(sum, 0x0e));
  if (index >= 12) return;
  __m128i last = words[(index + 3) & 3];
  __m128i next = _mm_sha256msg1_epu32(used, words[(index + 1) & 3]);
  next = _mm_add_epi32(next, _mm_alignr_epi8(last, words[(index + 2) & 3], 4));
  words[index & 3] = _mm_sha256msg2_epu32(next, last);
}

SHA_INLINE void add(Stream* stream, const Stream& before) {
  stream->abef = _mm_add_epi32(stream->abef, before.abef);
  stream->cdgh = _mm_add_epi32(stream->cdgh, before.cdgh);
}

template <size_t count>
SHA_TARGET void compress(uint32_t* const* states, const uint8_t* const* messages, size_t blocks) {
  Stream streams[count];
  for (size_t m = 0; m < count; m++) load(&streams[m], states[m]);
  for (size_t at = 0; at < blocks * 64; at += 64) {
    Stream before[count];
    for (size_t m = 0; m < count; m++) {
      before[m] = streams[m];
      take(&streams[m], messages[m] + at);
    }
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
#pragma GCC unroll 4
      for (size_t m = 0; m < count; m++) rounds(&streams[m], i);
    for (size_t m = 0; m < count; m++) add(&streams[m], before[m]);
  }
  for (size_t m = 0; m < count; m++) store(streams[m], states[m]);
}

}  // namespace

bool sha256_ni_supported() {
  unsigned eax, ebx, ecx, edx;
  bool sha = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & bit_SHA);
  return sha && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3");
}

void sha256_ni(uint32_t* const* states, const uint8_t* const* messages, size_t count, size_t blocks) {
  if (count == 4)
    compress<4>(states, messages, blocks);
  else if (count == 2)
    compress<2>(states, messages, blocks);
  else
    compress<1>(states, messages, blocks);
}

#else

bool sha256_ni_supported() { return false; }
void sha256_ni(uint32_t* const*, const uint8_t* const*, size_t, size_t) {}

#endif
