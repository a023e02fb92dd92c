#pragma once
#include <cstddef>
#include <cstdint>

// SHA-256's compression of 64-byte blocks (FIPS 180-4, 6.2.2) with the SHA extensions of x86. Their instructions have a
// latency that one message cannot hide; of several messages one computes while the others wait.

// Whether this CPU has them.
bool sha256_ni_supported();
// `count` messages, 1, 2 or 4 of them, side by side: each goes on from its state of eight words, over `blocks` blocks.
void sha256_ni(uint32_t* const* states, const uint8_t* const* messages, size_t count, size_t blocks);
