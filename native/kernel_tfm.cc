#include "kernel_tfm.h"

#include <fcntl.h>
#include <linux/if_alg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "wipe.h"

#ifndef ALG_SET_KEY_BY_KEY_SERIAL
#define ALG_SET_KEY_BY_KEY_SERIAL 7  // linux/if_alg.h since 6.2
#endif

namespace {

constexpr size_t page = 4096;
// net/core/sock.c: the default of net.core.{w,r}mem_default; what an op socket starts with.
constexpr size_t default_budget = 212992 & ~(page - 1);
// More than this in one socket needs more option memory than 6.1 grants (ENOMEM).
constexpr size_t largest_budget = 512 * 1024;
// A carried IV lets a long request go through in pieces; each must be a whole number of any cipher's blocks.
constexpr size_t chunk = 128 * 1024;
constexpr size_t max_random = 128;  // crypto/algif_rng.c: MAXSIZE
constexpr size_t max_iv = 256;

const char* type_name(Type type) {
  static const char* const names[] = {"hash", "skcipher", "aead", "rng"};
  return names[static_cast<size_t>(type)];
}

}  // namespace

long KernelTfm::open(Type type, const std::string& name, uint32_t feat, uint32_t mask, std::shared_ptr<Tfm>* tfm,
                     const char** syscall) {
  // What closes the socket is there before the socket.
  auto made = std::make_shared<KernelTfm>(type);
  *syscall = "socket";
  made->fd_ = ::socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (made->fd_ < 0) return -errno;
  // A name may be longer than the 64 bytes of salg_name (struct sockaddr_alg_new).
  struct sockaddr_alg head = {};
  head.salg_family = AF_ALG;
  std::strncpy(reinterpret_cast<char*>(head.salg_type), type_name(type), sizeof(head.salg_type) - 1);
  head.salg_feat = feat;
  head.salg_mask = mask;
  constexpr size_t name_at = offsetof(struct sockaddr_alg, salg_name);
  std::vector<uint8_t> address(std::max(sizeof(head), name_at + name.size() + 1));
  std::memcpy(address.data(), &head, name_at);
  std::memcpy(address.data() + name_at, name.data(), name.size());
  *syscall = "bind";
  if (::bind(made->fd_, reinterpret_cast<struct sockaddr*>(address.data()), static_cast<socklen_t>(address.size())) < 0)
    return -errno;
  *tfm = std::move(made);
  return 0;
}

KernelTfm::KernelTfm(Type type) : type_(type), limit_(largest_budget) {}

KernelTfm::~KernelTfm() {
  if (fd_ >= 0) ::close(fd_);
}

// The descriptor goes with the last op: a lane may be in accept() on it, and its number must not be reused under it.
void KernelTfm::close() {
  closed = true;
  drop_spare_ops();
}

long KernelTfm::set_key(const uint8_t* key, size_t size) {
  return ::setsockopt(fd_, SOL_ALG, ALG_SET_KEY, key, static_cast<socklen_t>(size)) < 0 ? -errno : 0;
}

long KernelTfm::set_key_serial(int32_t serial) {
  return ::setsockopt(fd_, SOL_ALG, ALG_SET_KEY_BY_KEY_SERIAL, &serial, sizeof(serial)) < 0 ? -errno : 0;
}

// af_alg.c:alg_setsockopt takes the tag's size as the option's length.
long KernelTfm::set_authsize(uint32_t size) {
  return ::setsockopt(fd_, SOL_ALG, ALG_SET_AEAD_AUTHSIZE, nullptr, size) < 0 ? -errno : 0;
}

int KernelTfm::accept_op() const {
  // Non-blocking: a read of more than there is would otherwise wait for ever, which
  // the kernel means to do (crypto/af_alg.c:af_alg_wait_for_data).
  int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

long KernelTfm::open_op(std::shared_ptr<Op>* op) {
  auto made = std::make_shared<KernelOp>(std::shared_ptr<KernelTfm>(shared_from_this(), this), type_);
  if (long error = made->reset()) return error;
  *op = std::move(made);
  return 0;
}

KernelOp::KernelOp(std::shared_ptr<KernelTfm> tfm, Type type)
    : tfm_(std::move(tfm)), type_(type), budget_(default_budget) {}

KernelOp::~KernelOp() {
  if (fd_ >= 0) ::close(fd_);
}

long KernelOp::reset() {
  int fresh = tfm_->accept_op();
  if (fresh < 0) return fresh;
  if (fd_ >= 0) ::close(fd_);
  fd_ = fresh;
  budget_ = default_budget;
  stale_ = false;
  return 0;
}

// After an error an op socket may still hold the data of the request that failed, and the next read would return or
// wait for that: such a socket is replaced before it is used again.
long KernelOp::refresh() { return stale_ ? reset() : 0; }

long KernelOp::ensure_budget(size_t size) {
  if (size > tfm_->limit()) return -EMSGSIZE;
  if (size <= budget_) return 0;
  int wanted = static_cast<int>(std::min(size + page, largest_budget) / 2 + page);  // the kernel doubles it
  for (int option : {SO_SNDBUF, SO_RCVBUF}) (void)::setsockopt(fd_, SOL_SOCKET, option, &wanted, sizeof(wanted));
  size_t granted = largest_budget;
  for (int option : {SO_SNDBUF, SO_RCVBUF}) {
    int actual = 0;
    socklen_t length = sizeof(actual);
    if (::getsockopt(fd_, SOL_SOCKET, option, &actual, &length) < 0) return -errno;
    granted = std::min(granted, static_cast<size_t>(actual));
  }
  budget_ = std::max(page, granted & ~(page - 1));
  return size <= budget_ ? 0 : -EMSGSIZE;
}

long KernelOp::max_request() {
  if (type_ == Type::hash || type_ == Type::rng) return -EOPNOTSUPP;
  long error = ensure_budget(tfm_->limit());
  return error && error != -EMSGSIZE ? error : static_cast<long>(std::min(budget_, tfm_->limit()));
}

// sendmsg with, if asked, the control messages of a unit: operation, IV, length of the associated data. A unit's salt
// goes with its data in the one call.
long KernelOp::send(const Unit& unit, bool control, const uint8_t* data, size_t size, int flags) {
  alignas(struct cmsghdr)
      uint8_t buffer[CMSG_SPACE(sizeof(uint32_t)) * 2 + CMSG_SPACE(sizeof(struct af_alg_iv) + max_iv)];
  struct iovec parts[2] = {};
  size_t count = 0;
  auto add = [&](const uint8_t* bytes, size_t length) {
    if (length) parts[count++] = {const_cast<uint8_t*>(bytes), length};
  };
  if (!unit.salt_last) add(unit.salt, unit.salt_size);
  add(data, size);
  if (unit.salt_last) add(unit.salt, unit.salt_size);
  struct msghdr message = {};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  size_t used = 0;
  if (control) {
    auto put = [&](int type, const void* head, size_t head_size, const void* body, size_t body_size) {
      auto* header = reinterpret_cast<struct cmsghdr*>(buffer + used);
      header->cmsg_level = SOL_ALG;
      header->cmsg_type = type;
      header->cmsg_len = CMSG_LEN(head_size + body_size);
      std::memcpy(CMSG_DATA(header), head, head_size);
      if (body_size) std::memcpy(CMSG_DATA(header) + head_size, body, body_size);
      used += CMSG_SPACE(head_size + body_size);
    };
    if (unit.iv_size > max_iv) return -EINVAL;
    // Always sent: a control message without the operation means "decrypt" (af_alg.c:af_alg_sendmsg).
    uint32_t operation = static_cast<uint32_t>(unit.direction);
    put(ALG_SET_OP, &operation, sizeof(operation), nullptr, 0);
    if (unit.iv) {
      uint32_t length = static_cast<uint32_t>(unit.iv_size);
      put(ALG_SET_IV, &length, sizeof(length), unit.iv, unit.iv_size);
    }
    if (type_ == Type::aead) {
      uint32_t length = static_cast<uint32_t>(unit.assoc_size);
      put(ALG_SET_AEAD_ASSOCLEN, &length, sizeof(length), nullptr, 0);
    }
    message.msg_control = buffer;
    message.msg_controllen = used;
  }
  ssize_t sent = ::sendmsg(fd_, &message, flags | MSG_NOSIGNAL);
  long result = sent < 0 ? -errno : sent;
  wipe(buffer, used);
  if (result >= 0 && static_cast<size_t>(result) != size + unit.salt_size) return -EMSGSIZE;
  return result;
}

long KernelOp::receive(uint8_t* dst, size_t size) {
  ssize_t got = ::recv(fd_, dst, size, 0);
  return got < 0 ? -errno : got;
}

long KernelOp::build(const Unit& unit) {
  if (unit.staged == Staged::all) return 0;
  bool staged = unit.staged == Staged::data;
  long error = staged ? 0 : refresh();
  if (!error && !staged) error = ensure_budget(std::max(unit.src_size, unit.dst_size));
  if (error) return error;
  long sent = send(unit, true, unit.src, staged ? 0 : unit.src_size, 0);
  note_result(sent);
  return std::min(sent, 0L);
}

long KernelOp::run_whole(const Unit& unit) {
  long error = build(unit);
  if (error) return error;
  long result = receive(unit.dst, unit.dst_size);
  note_result(result);
  return result;
}

long KernelOp::run_in_chunks(const Unit& unit) {
  long error = refresh();
  size_t piece = std::min(chunk, tfm_->limit());
  for (size_t at = 0; !error && at < unit.src_size; at += piece) {
    size_t size = std::min(piece, unit.src_size - at);
    bool more = at + size < unit.src_size;
    error = std::min(send(unit, at == 0, unit.src + at, size, more ? MSG_MORE : 0), 0L);
    if (error) break;
    long got = receive(unit.dst + at, size);
    if (got < 0) error = got;
    if (got >= 0 && static_cast<size_t>(got) != size) error = -EIO;
  }
  note_result(error);
  return error ? error : static_cast<long>(unit.src_size);
}

long KernelOp::generate(uint8_t* dst, size_t size) {
  for (size_t at = 0; at < size;) {
    long got = receive(dst + at, std::min(max_random, size - at));
    if (got <= 0) return got ? got : -EIO;
    at += static_cast<size_t>(got);
  }
  return static_cast<long>(size);
}

long KernelOp::run(const Unit& unit) {
  switch (type_) {
    case Type::rng:
      return generate(unit.dst, unit.dst_size);
    case Type::hash: {
      long error = refresh();
      if (!error) error = std::min(send(unit, false, unit.src, unit.src_size, 0), 0L);
      return error ? (note_result(error), error) : final(unit.dst, unit.dst_size);
    }
    case Type::aead:
      return run_whole(unit);
    case Type::skcipher:
      // Above the socket's largest budget the IV is carried from piece to piece: lib/alg lets requests of that size
      // through only for ciphers that carry it.
      if (unit.dst_size < unit.src_size) return -EINVAL;
      if (unit.staged != Staged::nothing) return run_whole(unit);
      return ensure_budget(unit.src_size) == 0 ? run_whole(unit) : run_in_chunks(unit);
  }
  return -EINVAL;
}

long KernelOp::update(const uint8_t* src, size_t size) {
  long error = refresh();
  if (!error) error = std::min(send(Unit{}, false, src, size, MSG_MORE), 0L);
  note_result(error);
  return error;
}

long KernelOp::final(uint8_t* dst, size_t size) {
  long result = receive(dst, size);
  note_result(result);
  return result;
}

// accept() on a hash op socket clones its partial state (algif_hash.c:hash_accept).
long KernelOp::clone(std::shared_ptr<Op>* copy) {
  auto made = std::make_shared<KernelOp>(tfm_, type_);
  made->fd_ = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (made->fd_ < 0) return -errno;
  *copy = std::move(made);
  return 0;
}

long KernelOp::stage(const Unit& unit) {
  bool all = unit.staged == Staged::all;
  long error = refresh();
  if (!error) error = ensure_budget(std::max(unit.src_size, unit.dst_size));
  if (!error) error = std::min(send(unit, all, unit.src, unit.src_size, all ? 0 : MSG_MORE), 0L);
  note_result(error);
  return error;
}
