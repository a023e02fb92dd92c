#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "galois.h"

// The systematic Reed-Solomon code RS(255, 255 - roots) over GF(2^8) of dm-verity's forward error correction:
// polynomial 0x11d, fcr 0, prim 1, generator prod(x - a^i), i = 0..roots-1 (drivers/md/dm-verity-fec.c; init_rs_gfp,
// init_rs_char). Symbol t of a word is the coefficient of x^(254 - t): first the message, then the parity.
//
// All work is on `columns` words side by side: row t holds symbol t of each of them.
class ReedSolomon {
 public:
  static constexpr size_t word_size = 255;
  static constexpr size_t min_roots = 2;
  static constexpr size_t max_roots = 24;

  explicit ReedSolomon(size_t roots, galois::Accumulate accumulate = galois::paths().path[0].accumulate);
  // Whether this processor, and the code that was compiled for it, computes a code's words.
  bool works() const;
  size_t roots() const { return roots_; }
  size_t message_size() const { return word_size - roots_; }

  // Adds what row `row` of the message contributes to the parity rows. `size` columns.
  void accumulate(size_t row, const uint8_t* src, size_t size, uint8_t* const* parity) const;

  struct Words {
    uint8_t* message;  // message_size() rows of `columns` bytes
    uint8_t* parity;   // `columns` times `roots` bytes, as on disk: all parity of a word together
    size_t columns;
    size_t rows;            // of the message that exist: the others are zeroes and never wrong
    const uint8_t* erased;  // symbols that are known to be wrong, each once
    size_t erased_count;    // at most roots
    int16_t* status;        // of each word: symbols corrected, or -1: more than the code can correct
    uint32_t* changed;      // of each symbol: the words in which it was corrected
  };
  // Corrects each word in place, as long as 2 * errors + erasures <= roots; a word beyond that is left as it is where
  // it can be told. Returns the number of words that could not be corrected.
  long decode(const Words& words) const;

 private:
  int correct(const uint8_t* difference, const Words& words, uint8_t* positions, uint8_t* magnitudes) const;

  size_t roots_;
  galois::Accumulate accumulate_;
  std::vector<uint8_t> factors_;  // of each row of the message: what it is multiplied by for each row of parity
};

// The parity of a window of consecutive codewords, which grows as the bytes of the message come by in any order, each
// once. The message is interleaved: codeword i is the bytes i + j * codewords, j = 0, 1, ... Threads may add at the
// same time.
class Parity {
 public:
  // Null when there is not that much memory.
  static std::shared_ptr<Parity> open(std::shared_ptr<const ReedSolomon> code, uint64_t codewords, size_t columns);
  uint64_t message_bytes() const { return codewords_ * code_->message_size(); }
  uint64_t codewords() const { return codewords_; }
  size_t columns() const { return columns_; }
  size_t roots() const { return code_->roots(); }
  // Begins anew, with the window that starts at codeword `first`.
  void reset(uint64_t first);
  void add(uint64_t position, const uint8_t* src, size_t size);
  // The parity of `count` codewords of the window from `column` on, as on disk.
  void read(size_t column, size_t count, uint8_t* dst) const;

 private:
  struct Free {
    void operator()(uint8_t* memory) const;
  };
  Parity(std::shared_ptr<const ReedSolomon> code, uint64_t codewords, size_t columns);
  void add_columns(size_t row, size_t column, const uint8_t* src, size_t size);

  // Columns that one lock is for. A lock is held for one addition to them.
  static constexpr size_t segment = 64 * 1024;

  std::shared_ptr<const ReedSolomon> code_;
  uint64_t codewords_;
  uint64_t first_ = 0;
  size_t columns_;
  size_t stride_;
  std::unique_ptr<uint8_t, Free> rows_;
  std::vector<std::mutex> locks_;
};
