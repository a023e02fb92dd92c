#include "sha256_units.h"

#include <algorithm>
#include <cstring>

#include "sha256_ni.h"

namespace {

constexpr size_t block = 64;
constexpr size_t digest = 32;
constexpr size_t max_salt = 256;
constexpr size_t length_size = 8;

struct State {
  // FIPS 180-4, 5.3.3
  uint32_t words[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
};

// All units are cut the same way: a first block that the salt's rest shares with the data, whole blocks of data as they
// lie in memory, and the end with what is left, a salt behind it, and the padding.
struct Plan {
  State salted;  // after the salt's whole blocks
  const uint8_t* salt_rest = nullptr;
  size_t rest = 0;
  size_t first = 0;  // bytes of data in the first block
  size_t whole = 0;  // blocks
  size_t end = 0;    // blocks
  const Unit* unit = nullptr;

  explicit Plan(const Unit& of) : unit(&of) {
    size_t in_front = of.salt_last ? 0 : of.salt_size;
    size_t behind = of.salt_size - in_front;
    uint32_t* state = salted.words;
    sha256_ni(&state, &of.salt, 1, in_front / block);
    rest = in_front % block;
    salt_rest = of.salt + (in_front - rest);
    first = rest ? block - rest : 0;
    whole = (of.src_size - first) / block;
    size_t left = of.src_size - first - whole * block;
    end = (left + behind + 1 + length_size + block - 1) / block;
  }
  void fill_first(const uint8_t* src, uint8_t* into) const {
    std::memcpy(into, salt_rest, rest);
    std::memcpy(into + rest, src, first);
  }
  void fill_end(const uint8_t* src, uint8_t* into) const {
    size_t from = first + whole * block;
    size_t left = unit->src_size - from;
    size_t behind = unit->salt_last ? unit->salt_size : 0;
    std::memcpy(into, src + from, left);
    if (behind) std::memcpy(into + left, unit->salt, behind);
    into[left + behind] = 0x80;
    std::memset(into + left + behind + 1, 0, end * block - left - behind - 1);
    uint64_t bits = __builtin_bswap64((unit->src_size + unit->salt_size) * 8);
    std::memcpy(into + end * block - length_size, &bits, length_size);
  }
};

long give(const State& state, const Unit& unit) {
  uint32_t result[8];
  for (size_t i = 0; i < 8; i++) result[i] = __builtin_bswap32(state.words[i]);
  size_t size = std::min(unit.dst_size, digest);
  std::memcpy(unit.dst, result, size);
  return static_cast<long>(size);
}

constexpr size_t longest_end = ((block - 1 + max_salt + 1 + length_size) / block + 1) * block;

// The units from `first` on, side by side.
template <size_t count>
void hash_units(const Plan& plan, const Units& units, size_t first, int32_t* results) {
  State states[count];
  uint32_t* words[count];
  uint8_t edges[count][longest_end];
  const uint8_t* data[count];
  const uint8_t* edge[count];
  for (size_t m = 0; m < count; m++) {
    states[m] = plan.salted;
    words[m] = states[m].words;
    edge[m] = edges[m];
    data[m] = units.unit(first + m).src;
    if (plan.first) plan.fill_first(data[m], edges[m]);
  }
  if (plan.first) sha256_ni(words, edge, count, 1);
  const uint8_t* whole[count];
  for (size_t m = 0; m < count; m++) whole[m] = data[m] + plan.first;
  sha256_ni(words, whole, count, plan.whole);
  for (size_t m = 0; m < count; m++) plan.fill_end(data[m], edges[m]);
  sha256_ni(words, edge, count, plan.end);
  for (size_t m = 0; m < count; m++) results[first + m] = static_cast<int32_t>(give(states[m], units.unit(first + m)));
}

}  // namespace

bool sha256_units_take(const Units& units) {
  return units.first.src_size >= block && units.first.salt_size <= max_salt;
}

void sha256_units(const Units& units, int32_t* results) {
  Plan plan(units.first);
  size_t i = 0;
  for (; i + 4 <= units.count; i += 4) hash_units<4>(plan, units, i, results);
  for (; i + 2 <= units.count; i += 2) hash_units<2>(plan, units, i, results);
  if (i < units.count) hash_units<1>(plan, units, i, results);
}
