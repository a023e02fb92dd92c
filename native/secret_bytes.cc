#include "secret_bytes.h"

#include <sys/mman.h>

#include <mutex>
#include <vector>

#include "wipe.h"

namespace {

constexpr size_t page_size = 4096;
constexpr size_t slot_size = 64;
constexpr size_t slots = page_size / slot_size;  // a bit each

uint8_t* map_pages(size_t size) {
  void* pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  // As much as the kernel and the limits permit: without either it is memory like any other.
  (void)::madvise(pages, size, MADV_DONTDUMP);
  (void)::mlock(pages, size);
  return static_cast<uint8_t*>(pages);
}

struct Page {
  uint8_t* bytes;
  uint64_t used;
};

size_t slots_of(size_t size) { return (size + slot_size - 1) / slot_size; }
uint64_t bits_of(size_t count) { return count == slots ? ~0ULL : (1ULL << count) - 1; }

// The pages of all secrets of the process, whichever thread has them: the addon's one static.
class Vault {
 public:
  ~Vault() {
    for (const Page& page : pages_)
      if (!page.used) ::munmap(page.bytes, page_size);
  }
  // Null when there is no memory.
  uint8_t* take(size_t size) {
    size_t count = slots_of(size);
    if (count > slots) return map_pages(size);
    std::lock_guard<std::mutex> guard(lock_);
    for (Page& page : pages_)
      for (size_t first = 0; first + count <= slots; first++)
        if (!(page.used & bits_of(count) << first)) return mark(&page, first, count);
    pages_.reserve(pages_.size() + 1);
    uint8_t* bytes = map_pages(page_size);
    if (!bytes) return nullptr;
    pages_.push_back({bytes, 0});
    return mark(&pages_.back(), 0, count);
  }
  void give(uint8_t* bytes, size_t size) {
    wipe(bytes, size);
    size_t count = slots_of(size);
    if (count > slots) {
      ::munmap(bytes, size);
      return;
    }
    std::lock_guard<std::mutex> guard(lock_);
    for (size_t i = 0; i < pages_.size(); i++) {
      Page& page = pages_[i];
      if (bytes < page.bytes || bytes >= page.bytes + page_size) continue;
      page.used &= ~(bits_of(count) << (bytes - page.bytes) / slot_size);
      // One stays for the next secret.
      if (page.used || pages_.size() == 1) return;
      ::munmap(page.bytes, page_size);
      pages_.erase(pages_.begin() + static_cast<long>(i));
      return;
    }
  }

 private:
  static uint8_t* mark(Page* page, size_t first, size_t count) {
    page->used |= bits_of(count) << first;
    return page->bytes + first * slot_size;
  }

  std::mutex lock_;
  std::vector<Page> pages_;
};

Vault& vault() {
  static Vault all;
  return all;
}

}  // namespace

bool SecretBytes::allocate(size_t size) {
  // What has been given back was wiped, and fresh pages are zeroes.
  uint8_t* fresh = size ? vault().take(size) : nullptr;
  if (size && !fresh) return false;
  clear();
  bytes_ = fresh;
  size_ = size;
  return true;
}

bool SecretBytes::assign(const uint8_t* data, size_t size) {
  uint8_t* fresh = size ? vault().take(size) : nullptr;
  if (size && !fresh) return false;
  if (size) std::memcpy(fresh, data, size);
  clear();
  bytes_ = fresh;
  size_ = size;
  return true;
}

void SecretBytes::clear() {
  if (bytes_) vault().give(bytes_, size_);
  bytes_ = nullptr;
  size_ = 0;
}
