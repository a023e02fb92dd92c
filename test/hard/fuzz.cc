// Bytes from outside in native code, by libFuzzer: Reed-Solomon words, parity that comes in any pieces, SHA-256 of
// units side by side. `make hard` builds and runs it where clang is. The first byte says which; what must hold is
// asserted.
#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "../../native/reed_solomon.h"
#include "../../native/sha256_ni.h"
#include "../../native/sha256_units.h"

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

// What is left of the input; zeroes behind its end.
struct Input {
  const uint8_t* data;
  size_t size;

  uint8_t byte() { return size ? (size--, *data++) : 0; }
  size_t below(size_t limit) { return (byte() << 8 | byte()) % limit; }
  std::vector<uint8_t> bytes(size_t count) {
    std::vector<uint8_t> result(count);
    size_t taken = std::min(count, size);
    std::copy(data, data + taken, result.begin());
    data += taken;
    size -= taken;
    return result;
  }
};

// The check at a code's opening notices a multiplication that is wrong for one byte of one vector.
void check_notices(Input input) {
  static size_t wrong;
  wrong = input.below(256 + 64 + 37);
  auto broken = [](const uint8_t* factors, size_t count, const uint8_t* src, size_t size, uint8_t* const* dst) {
    galois::paths().path[0].accumulate(factors, count, src, size, dst);
    if (wrong < size) dst[count - 1][wrong] ^= src[wrong] & 0x40;
  };
  check(!ReedSolomon(2 + input.below(23), broken).works());
}

// The bytes may be anything. A word that cannot be corrected stays as it is.
void decode_anything(Input input) {
  ReedSolomon code(2 + input.below(23));
  size_t columns = 1 + input.below(70), rows = input.below(code.message_size() + 1);
  std::vector<uint8_t> symbols(ReedSolomon::word_size);
  std::iota(symbols.begin(), symbols.end(), 0);
  size_t erased = input.below(code.roots() + 1);
  for (size_t i = 0; i < erased; i++) std::swap(symbols[i], symbols[i + input.below(symbols.size() - i)]);
  std::vector<uint8_t> message = input.bytes(code.message_size() * columns);
  std::fill(message.begin() + static_cast<long>(rows * columns), message.end(), 0);
  std::vector<uint8_t> parity = input.bytes(columns * code.roots());
  std::vector<uint8_t> before = message;
  std::vector<int16_t> status(columns);
  std::vector<uint32_t> changed(ReedSolomon::word_size);
  long failed = code.decode(
      {message.data(), parity.data(), columns, rows, symbols.data(), erased, status.data(), changed.data()});
  check(failed == std::count(status.begin(), status.end(), -1));
  for (size_t column = 0; column < columns; column++) {
    check(status[column] >= -1 && status[column] <= static_cast<int>(code.roots()));
    for (size_t row = 0; row < code.message_size() && status[column] <= 0; row++)
      check(message[row * columns + column] == before[row * columns + column]);
  }
}

// The same parity however the message comes; and as many errors as the code can correct are corrected.
void encode_and_mend(Input input) {
  auto code = std::make_shared<ReedSolomon>(2 + input.below(23));
  size_t columns = 1 + input.below(40), rows = code->message_size();
  auto parity = Parity::open(code, columns, columns);
  check(parity != nullptr);
  parity->reset(0);
  std::vector<size_t> cuts{0, rows * columns};
  for (size_t count = input.below(8); count; count--) cuts.push_back(input.below(rows * columns));
  size_t errors = input.below(code->roots() / 2 + 1), first = input.below(ReedSolomon::word_size),
         flip = input.byte() | 1;
  std::vector<uint8_t> message = input.bytes(rows * columns);
  std::sort(cuts.begin(), cuts.end());
  for (size_t i = cuts.size() - 1; i > 0; i--)
    parity->add(cuts[i - 1], message.data() + cuts[i - 1], cuts[i] - cuts[i - 1]);
  std::vector<uint8_t> written(columns * code->roots());
  parity->read(0, columns, written.data());
  std::vector<uint8_t> broken = message, stored = written;
  for (size_t i = 0; i < errors; i++) {
    size_t symbol = (first + i * 7) % ReedSolomon::word_size;
    uint8_t* at = symbol < rows ? &broken[symbol * columns] : &stored[symbol - rows];
    *at ^= static_cast<uint8_t>(flip);
  }
  std::vector<int16_t> status(columns);
  std::vector<uint32_t> changed(ReedSolomon::word_size);
  long failed = code->decode({broken.data(), stored.data(), columns, rows, nullptr, 0, status.data(), changed.data()});
  check(failed == 0 && broken == message && status[0] == static_cast<int>(errors));
}

// Side by side as one by one.
void hash_units(Input input) {
  if (!sha256_ni_supported()) return;
  Units units;
  units.count = 1 + input.below(9);
  units.first.src_size = units.src_stride = 64 + input.below(400);
  units.first.dst_size = units.dst_stride = 32;
  units.first.salt_last = input.byte() & 1;
  std::vector<uint8_t> salt = input.bytes(input.below(257));
  units.first.salt = salt.data();
  units.first.salt_size = salt.size();
  std::vector<uint8_t> src = input.bytes(units.count * units.src_stride);
  std::vector<uint8_t> together(units.count * 32), alone(units.count * 32);
  std::vector<int32_t> results(units.count);
  units.first.src = src.data();
  units.first.dst = together.data();
  check(sha256_units_take(units));
  sha256_units(units, results.data());
  for (int32_t result : results) check(result == 32);
  units.first.dst = alone.data();
  for (size_t i = 0; i < units.count; i++) sha256_units(units.slice(i, i + 1), &results[i]);
  check(together == alone);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input{data, size};
  switch (input.byte() % 4) {
    case 3:
      check_notices(input);
      break;
    case 0:
      decode_anything(input);
      break;
    case 1:
      encode_and_mend(input);
      break;
    default:
      hash_units(input);
  }
  return 0;
}
