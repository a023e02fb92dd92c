#pragma once
#include <cstddef>
#include <cstdint>

// SHA-256's compression of 64-byte blocks (FIPS 180-4, 6.2.2) with the SHA extensions of x86. Their instructions have a
// latency that one message cannot hide; of two messages one computes while the other waits.

// Whether this CPU has them.
bool sha256_ni_supported();
// Each goes on from a state of eight words, over `blocks` blocks of its message.
void sha256_ni(uint32_t* state, const uint8_t* message, size_t blocks);
void sha256_ni_x2(uint32_t* state_a, uint32_t* state_b, const uint8_t* message_a, const uint8_t* message_b,
                  size_t blocks);
