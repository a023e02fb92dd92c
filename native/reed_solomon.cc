#include "reed_solomon.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

namespace {

using galois::divide;
using galois::multiply;
using galois::scale;

constexpr size_t n = ReedSolomon::word_size;
static_assert(n == galois::order);

bool all_zero(const uint8_t* bytes, size_t size) {
  return size == 0 || (bytes[0] == 0 && std::memcmp(bytes, bytes + 1, size - 1) == 0);
}

}  // namespace

ReedSolomon::ReedSolomon(size_t roots, galois::Accumulate accumulate)
    : roots_(roots), accumulate_(accumulate), factors_(roots * message_size()) {
  // The generator without its leading 1, highest power first.
  std::vector<uint8_t> generator(roots + 1, 0);
  generator[0] = 1;
  for (size_t i = 0; i < roots; i++)
    for (size_t at = i + 1; at > 0; at--) generator[at] ^= scale(generator[at - 1], i);
  // Symbol j alone has the parity x^(254 - j) mod generator.
  size_t k = message_size();
  std::vector<uint8_t> remainder(generator.begin() + 1, generator.end());
  for (size_t j = k; j-- > 0;) {
    for (size_t r = 0; r < roots; r++) factors_[j * roots + r] = remainder[r];
    uint8_t carry = remainder[0];
    for (size_t r = 0; r < roots; r++)
      remainder[r] = (r + 1 < roots ? remainder[r + 1] : 0) ^ multiply(carry, generator[r + 1]);
  }
}

void ReedSolomon::accumulate(size_t row, const uint8_t* src, size_t size, uint8_t* const* parity) const {
  accumulate_(&factors_[row * roots_], roots_, src, size, parity);
}

// Words whose symbols differ from column to column, over whole vectors and what is left of them. A word is right if all
// of its syndromes are zero, which is found out without tables or vectors.
bool ReedSolomon::works() const {
  constexpr size_t columns = 256 + 64 + 37;
  std::vector<uint8_t> row(columns), parity(roots_ * columns), syndromes(roots_ * columns);
  uint8_t* rows[max_roots];
  for (size_t r = 0; r < roots_; r++) rows[r] = &parity[r * columns];
  size_t taken = 0;
  auto take = [&](size_t t, const uint8_t* symbols) {
    for (size_t i = 0; i < roots_; i++)
      for (size_t c = 0; c < columns; c++)
        syndromes[i * columns + c] = scale(syndromes[i * columns + c], i * (t - taken)) ^ symbols[c];
    taken = t;
  };
  for (size_t t = 0; t < message_size(); t += 11) {  // the other symbols are zeroes
    for (size_t c = 0; c < columns; c++) row[c] = static_cast<uint8_t>(t * 31 + c * 17 + (t * c >> 3) + 1);
    accumulate(t, row.data(), columns, rows);
    take(t, row.data());
  }
  for (size_t r = 0; r < roots_; r++) take(message_size() + r, rows[r]);
  return std::all_of(syndromes.begin(), syndromes.end(), [](uint8_t value) { return value == 0; });
}

long ReedSolomon::decode(const Words& words) const {
  size_t columns = words.columns;
  std::vector<uint8_t> parity(roots_ * columns);
  uint8_t* parity_rows[max_roots];
  for (size_t r = 0; r < roots_; r++) parity_rows[r] = parity.data() + r * columns;
  for (size_t row = 0; row < words.rows; row++) accumulate(row, words.message + row * columns, columns, parity_rows);

  long failed = 0;
  for (size_t column = 0; column < columns; column++) {
    // What is received, modulo the generator: it has the syndromes of the word, in far fewer symbols.
    uint8_t* stored = words.parity + column * roots_;
    uint8_t difference[max_roots];
    uint8_t any = 0;
    for (size_t r = 0; r < roots_; r++) any |= difference[r] = stored[r] ^ parity_rows[r][column];
    words.status[column] = 0;
    if (!any) continue;
    uint8_t positions[max_roots], magnitudes[max_roots];
    int count = correct(difference, words, positions, magnitudes);
    words.status[column] = static_cast<int16_t>(count);
    if (count < 0) failed++;
    for (int i = 0; i < count; i++) {
      size_t position = positions[i];
      uint8_t* symbol = position < message_size() ? words.message + position * columns + column
                                                  : stored + (position - message_size());
      *symbol ^= magnitudes[i];
      words.changed[position]++;
    }
  }
  return failed;
}

// Finds the errors of one word: Berlekamp and Massey's algorithm, begun with the locator of the erasures; Chien's
// search; Forney's formula. Returns their number, or -1 when there are more than can be corrected.
int ReedSolomon::correct(const uint8_t* difference, const Words& words, uint8_t* positions, uint8_t* magnitudes) const {
  uint8_t syndromes[max_roots];
  for (size_t i = 0; i < roots_; i++) {
    uint8_t sum = 0;
    for (size_t r = 0; r < roots_; r++) sum = scale(sum, i) ^ difference[r];
    syndromes[i] = sum;
  }

  // Coefficients by rising power. Locators have the zeroes X^-1, X = a^(254 - position).
  using Polynomial = std::array<uint8_t, max_roots + 1>;
  Polynomial locator{1};
  size_t erased = words.erased_count;
  for (size_t i = 0; i < erased; i++)
    for (size_t at = i + 1; at > 0; at--) locator[at] ^= scale(locator[at - 1], n - 1 - words.erased[i]);

  Polynomial previous = locator;
  size_t length = erased;
  for (size_t step = erased; step < roots_; step++) {
    uint8_t discrepancy = 0;
    for (size_t i = 0; i <= step; i++) discrepancy ^= multiply(locator[i], syndromes[step - i]);
    std::copy_backward(previous.begin(), previous.end() - 1, previous.end());
    previous[0] = 0;
    if (!discrepancy) continue;
    Polynomial next = locator;
    for (size_t i = 0; i <= roots_; i++) next[i] ^= multiply(discrepancy, previous[i]);
    if (2 * length <= step + erased) {
      length = step + 1 + erased - length;
      for (size_t i = 0; i <= roots_; i++) previous[i] = divide(locator[i], discrepancy);
    }
    locator = next;
  }

  size_t degree = roots_;
  while (degree > 0 && !locator[degree]) degree--;
  if (degree != length || 2 * degree > roots_ + erased) return -1;

  // The evaluator: syndromes * locator mod x^roots.
  Polynomial evaluator{};
  for (size_t i = 0; i < roots_; i++)
    for (size_t j = 0; j <= std::min(i, degree); j++) evaluator[i] ^= multiply(locator[j], syndromes[i - j]);

  size_t found = 0;
  int count = 0;
  uint8_t check[max_roots] = {};
  for (size_t position = 0; position < n && found < degree; position++) {
    size_t inverse = position + 1;  // X^-1 = a^-(254 - position)
    uint8_t value = 0, derivative = 0, numerator = 0;
    for (size_t i = degree + 1; i-- > 0;) value = scale(value, inverse) ^ locator[i];
    if (value) continue;
    found++;
    for (size_t i = 1; i <= degree; i += 2) derivative ^= scale(locator[i], (i - 1) * inverse);
    for (size_t i = roots_; i-- > 0;) numerator = scale(numerator, inverse) ^ evaluator[i];
    if (!derivative) return -1;
    uint8_t magnitude = scale(divide(numerator, derivative), n - 1 - position);
    if (!magnitude) continue;  // an erasure that was right all along
    if (position >= words.rows && position < message_size()) return -1;
    for (size_t i = 0; i < roots_; i++) check[i] ^= scale(magnitude, i * (n - 1 - position));
    positions[count] = static_cast<uint8_t>(position);
    magnitudes[count++] = magnitude;
  }
  if (found != degree || std::memcmp(check, syndromes, roots_) != 0) return -1;
  return count;
}

void Parity::Free::operator()(uint8_t* memory) const { std::free(memory); }

Parity::Parity(std::shared_ptr<const ReedSolomon> code, uint64_t codewords, size_t columns)
    : code_(std::move(code)),
      codewords_(codewords),
      columns_(columns),
      stride_((columns + 63) / 64 * 64 + 64),  // rows of a power of two's size would share their cache sets
      rows_(static_cast<uint8_t*>(std::calloc(code_->roots(), stride_))),
      locks_((columns + segment - 1) / segment) {}

std::shared_ptr<Parity> Parity::open(std::shared_ptr<const ReedSolomon> code, uint64_t codewords, size_t columns) {
  std::shared_ptr<Parity> parity(new Parity(std::move(code), codewords, columns));
  return parity->rows_ ? parity : nullptr;
}

void Parity::reset(uint64_t first) {
  first_ = first;
  std::memset(rows_.get(), 0, code_->roots() * stride_);
}

void Parity::add(uint64_t position, const uint8_t* src, size_t size) {
  while (size) {
    uint64_t column = position % codewords_;
    size_t piece = static_cast<size_t>(std::min<uint64_t>(size, codewords_ - column));
    uint64_t from = std::max(column, first_), to = std::min(column + piece, first_ + columns_);
    if (from < to) add_columns(position / codewords_, from - first_, src + (from - column), to - from);
    position += piece;
    src += piece;
    size -= piece;
  }
}

void Parity::add_columns(size_t row, size_t column, const uint8_t* src, size_t size) {
  while (size) {
    size_t piece = std::min(size, segment - column % segment);
    if (!all_zero(src, piece)) {
      uint8_t* rows[ReedSolomon::max_roots];
      for (size_t r = 0; r < code_->roots(); r++) rows[r] = rows_.get() + r * stride_ + column;
      std::lock_guard<std::mutex> lock(locks_[column / segment]);
      code_->accumulate(row, src, piece, rows);
    }
    column += piece;
    src += piece;
    size -= piece;
  }
}

void Parity::read(size_t column, size_t count, uint8_t* dst) const {
  size_t roots = code_->roots();
  for (size_t r = 0; r < roots; r++) {
    const uint8_t* row = rows_.get() + r * stride_ + column;
    for (size_t i = 0; i < count; i++) dst[i * roots + r] = row[i];
  }
}
