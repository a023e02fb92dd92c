#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "arguments.h"
#include "exports.h"

namespace {

// Gives the space of a stretch of a file, or of a block device, back: in a thread of the pool, since it may take long.
class Discard : public Napi::AsyncWorker {
 public:
  Discard(Napi::Function done, int fd, bool is_device, uint64_t offset, uint64_t length)
      : Napi::AsyncWorker(done, "dmalg"), fd_(fd), is_device_(is_device), offset_(offset), length_(length) {}

  void Execute() override {
    uint64_t range[2] = {offset_, length_};
    do {
      result_ = is_device_ ? ::ioctl(fd_, BLKDISCARD, range)
                           : ::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset_),
                                         static_cast<off_t>(length_));
    } while (result_ < 0 && errno == EINTR);
    if (result_ < 0) result_ = -errno;
  }
  void OnOK() override { Callback().Call({number(Env(), result_)}); }

 private:
  int fd_;
  bool is_device_;
  uint64_t offset_, length_;
  long result_ = 0;
};

// (fd, is a block device, offset, length, done: (0 or -errno) => void): done is called later, always.
Napi::Value file_discard(const Napi::CallbackInfo& info) {
  auto number_at = [&](size_t index) { return static_cast<uint64_t>(info[index].As<Napi::Number>().Int64Value()); };
  int fd = info[0].As<Napi::Number>().Int32Value();
  // It deletes itself after the callback.
  auto* work = new Discard(info[4].As<Napi::Function>(), fd, info[1].As<Napi::Boolean>(), number_at(2), number_at(3));
  work->Queue();
  return number(info.Env(), 0);
}

// tmpfs cannot be told not to wait, but it has no disk to wait for.
bool is_tmpfs(int fd) {
  struct statfs about {};
  return ::fstatfs(fd, &about) == 0 && about.f_type == TMPFS_MAGIC;
}

// (fd, bytes, offset) -> how many of them the page cache had, or -errno; it does not wait for a disk (-EAGAIN)
Napi::Value file_read_cached(const Napi::CallbackInfo& info) {
  Bytes bytes = bytes_of(info.Env(), info[1]);
  if (!bytes.data) return number(info.Env(), -EINVAL);
  int fd = info[0].As<Napi::Number>().Int32Value();
  auto offset = static_cast<off_t>(info[2].As<Napi::Number>().Int64Value());
  iovec vector{bytes.data, bytes.size};
  ssize_t count = ::preadv2(fd, &vector, 1, offset, RWF_NOWAIT);
  if (count < 0 && errno == EOPNOTSUPP && is_tmpfs(fd)) count = ::preadv2(fd, &vector, 1, offset, 0);
  return number(info.Env(), count < 0 ? -errno : static_cast<long>(count));
}

// (fd, offset, whether a hole is looked for, not data) -> where the next one begins, from there on, or -errno (-ENXIO:
// there is none)
Napi::Value file_seek(const Napi::CallbackInfo& info) {
  off_t at = ::lseek(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int64Value(),
                     info[2].As<Napi::Boolean>() ? SEEK_HOLE : SEEK_DATA);
  return number(info.Env(), at < 0 ? -errno : at);
}

// (fd, path): gives the file one more name, its first one where it was opened with O_TMPFILE
Napi::Value file_link(const Napi::CallbackInfo& info) {
  if (!info[1].IsString()) return number(info.Env(), -EINVAL);
  std::string from = "/proc/self/fd/" + std::to_string(info[0].As<Napi::Number>().Int32Value());
  std::string to = info[1].As<Napi::String>().Utf8Value();
  int result = ::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW);
  return number(info.Env(), result < 0 ? -errno : 0);
}

// (fd of a block device) -> bytes of its logical block
Napi::Value device_block_size(const Napi::CallbackInfo& info) {
  int size = 0;
  int result = ::ioctl(info[0].As<Napi::Number>().Int32Value(), BLKSSZGET, &size);
  return number(info.Env(), result < 0 ? -errno : size);
}

// (bytes, alignment) -> how far they are beyond an address that is a multiple of it
Napi::Value bytes_misalignment(const Napi::CallbackInfo& info) {
  Bytes bytes = bytes_of(info.Env(), info[0]);
  uint32_t alignment = u32(info.Env(), info[1]);
  if (!bytes.data || !alignment) return number(info.Env(), -EINVAL);
  return number(info.Env(), static_cast<long>(reinterpret_cast<uintptr_t>(bytes.data) % alignment));
}

}  // namespace

void export_file(Napi::Object exports) {
  export_function<file_discard>(exports, "file_discard");
  export_function<file_read_cached>(exports, "file_read_cached");
  export_function<file_seek>(exports, "file_seek");
  export_function<file_link>(exports, "file_link");
  export_function<device_block_size>(exports, "device_block_size");
  export_function<bytes_misalignment>(exports, "bytes_misalignment");
}
