// Fails, or kills the process at, the n-th of some calls of libc: for LD_PRELOAD. The environment says which.
//   FAULT_CALLS    names of the functions below, between commas
//   FAULT_FROM     only what this shared object calls, "dmalg.node"; its threads are libstdc++'s calls
//   FAULT_UNDER    only what is done to files below this folder, which is named by absolute paths
//   FAULT_AT       the number of the call, from 1 on; without it they are only noted
//   FAULT_ERRNO    what the call fails with; without it the process is killed
//   FAULT_LASTING  the calls after it fail, too
//   FAULT_HALF     of a write half is done: it returns short, or the process is killed then
//   FAULT_LOG      a file that gets the name of each call, and '!' behind it where that was hit
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum verdict { pass, fail, half };

static struct {
  bool ready;
  const char *calls, *from, *under;
  unsigned at;
  int error;
  bool lasting, half;
  int log;
} plan;
static atomic_uint made;

// Other libraries' constructors may call before this one's.
__attribute__((constructor)) static void read_plan(void) {
  if (plan.ready) return;
  plan.ready = true;
  plan.calls = getenv("FAULT_CALLS");
  plan.from = getenv("FAULT_FROM");
  plan.under = getenv("FAULT_UNDER");
  const char *at = getenv("FAULT_AT"), *error = getenv("FAULT_ERRNO"), *log = getenv("FAULT_LOG");
  plan.at = at ? (unsigned)atoi(at) : 0;
  plan.error = error ? atoi(error) : 0;
  plan.lasting = getenv("FAULT_LASTING");
  plan.half = getenv("FAULT_HALF");
  plan.log = -1;
  if (!log) return;
  int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  plan.log = fcntl(fd, F_DUPFD_CLOEXEC, 500);  // not where the program would see a gap
  close(fd);
}

static bool is_listed(const char *name) {
  read_plan();
  size_t length = strlen(name);
  for (const char *at = plan.calls; at && (at = strstr(at, name)); at += length)
    if ((at == plan.calls || at[-1] == ',') && (at[length] == ',' || !at[length])) return true;
  return false;
}

static bool comes_from(const void *caller, const char *object) {
  struct dl_find_object found;
  if (_dl_find_object((void *)caller, &found)) return false;
  const char *name = strrchr(found.dlfo_link_map->l_name, '/');
  return name && strcmp(name + 1, object) == 0;
}

static bool is_under(const char *path, int fd) {
  char number[64], link[PATH_MAX];
  if (!path) {
    snprintf(number, sizeof(number), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(number, link, sizeof(link) - 1);
    if (length < 0) return false;
    link[length] = 0;
    path = link;
  }
  return strncmp(path, plan.under, strlen(plan.under)) == 0;
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static enum verdict judge(const char *name, const void *caller, const char *path, int fd) {
  if (plan.from && !comes_from(caller, plan.from) &&
      !(strcmp(name, "pthread_create") == 0 && comes_from(caller, "libstdc++.so.6")))
    return pass;
  if (plan.under && !is_under(path, fd)) return pass;
  unsigned number = atomic_fetch_add(&made, 1) + 1;
  bool hit = plan.at && (number == plan.at || (plan.lasting && number > plan.at));
  if (plan.log >= 0) dprintf(plan.log, "%s%s\n", name, hit ? "!" : "");
  if (!hit) return pass;
  if (plan.half) return half;
  if (!plan.error) die();
  errno = plan.error;
  return fail;
}

#define JUDGE(name, path, fd)                                               \
  ({                                                                        \
    static signed char listed;                                              \
    if (!listed) listed = is_listed(name) ? 1 : -1;                         \
    listed < 0 ? pass : judge(name, __builtin_return_address(0), path, fd); \
  })
#define REAL(name)                                                \
  ({                                                              \
    static __typeof__(&name) real;                                \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
    real;                                                         \
  })
// A function that returns -1 and errno, `subject` being what it is about: a path or NULL, and a descriptor.
#define FAULTY(type, name, parameters, arguments, ...) \
  type name parameters { return JUDGE(#name, __VA_ARGS__) ? -1 : REAL(name) arguments; }

FAULTY(ssize_t, read, (int fd, void *to, size_t size), (fd, to, size), NULL, fd)
FAULTY(ssize_t, readv, (int fd, const struct iovec *to, int count), (fd, to, count), NULL, fd)
FAULTY(ssize_t, pread64, (int fd, void *to, size_t size, off64_t at), (fd, to, size, at), NULL, fd)
FAULTY(ssize_t, preadv64, (int fd, const struct iovec *to, int count, off64_t at), (fd, to, count, at), NULL, fd)
FAULTY(ssize_t, preadv64v2, (int fd, const struct iovec *to, int count, off64_t at, int flags),
       (fd, to, count, at, flags), NULL, fd)
FAULTY(ssize_t, writev, (int fd, const struct iovec *from, int count), (fd, from, count), NULL, fd)
FAULTY(int, fsync, (int fd), (fd), NULL, fd)
FAULTY(int, fdatasync, (int fd), (fd), NULL, fd)
FAULTY(int, ftruncate64, (int fd, off64_t size), (fd, size), NULL, fd)
FAULTY(int, fallocate64, (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size), NULL, fd)
FAULTY(off64_t, lseek64, (int fd, off64_t at, int whence), (fd, at, whence), NULL, fd)
FAULTY(int, fchmod, (int fd, mode_t mode), (fd, mode), NULL, fd)
FAULTY(int, chmod, (const char *path, mode_t mode), (path, mode), path, -1)
FAULTY(int, rename, (const char *from, const char *to), (from, to), to, -1)
FAULTY(int, linkat, (int from_fd, const char *from, int to_fd, const char *to, int flags),
       (from_fd, from, to_fd, to, flags), to, -1)
FAULTY(int, unlink, (const char *path), (path), path, -1)
FAULTY(int, eventfd, (unsigned count, int flags), (count, flags), NULL, -1)
FAULTY(int, socket, (int family, int type, int protocol), (family, type, protocol), NULL, -1)
FAULTY(int, bind, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size), NULL, fd)
FAULTY(int, accept4, (int fd, struct sockaddr *from, socklen_t *size, int flags), (fd, from, size, flags), NULL, fd)
FAULTY(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
       (fd, level, name, value, size), NULL, fd)
FAULTY(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), NULL, fd)
FAULTY(ssize_t, recv, (int fd, void *to, size_t size, int flags), (fd, to, size, flags), NULL, fd)

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return JUDGE("open64", path, -1) ? -1 : REAL(open64)(path, flags, mode);
}

ssize_t write(int fd, const void *from, size_t size) {
  enum verdict verdict = JUDGE("write", NULL, fd);
  if (verdict == fail) return -1;
  ssize_t done = REAL(write)(fd, from, verdict == half ? (size + 1) / 2 : size);
  if (verdict == half && !plan.error) die();
  return done;
}

ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
  enum verdict verdict = JUDGE("pwrite64", NULL, fd);
  if (verdict == fail) return -1;
  ssize_t done = REAL(pwrite64)(fd, from, verdict == half ? (size + 1) / 2 : size, at);
  if (verdict == half && !plan.error) die();
  return done;
}

char *realpath(const char *path, char *into) { return JUDGE("realpath", path, -1) ? NULL : REAL(realpath)(path, into); }

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *with) {
  return JUDGE("pthread_create", NULL, -1) ? errno : REAL(pthread_create)(thread, how, run, with);
}

// libuv asks for statx so, and the addon for AIO and the keyring.
long syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  enum verdict verdict = pass;
  if (number == SYS_statx) {
    const char *path = (const char *)a[1];
    verdict = JUDGE("statx", *path ? path : NULL, (int)a[0]);
  } else if (number == SYS_io_setup)
    verdict = JUDGE("io_setup", NULL, -1);
  else if (number == SYS_io_submit)
    verdict = JUDGE("io_submit", NULL, -1);
  return verdict ? -1 : REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// dlsym() may call this one itself.
void *__libc_calloc(size_t count, size_t size);
void *calloc(size_t count, size_t size) { return JUDGE("calloc", NULL, -1) ? NULL : __libc_calloc(count, size); }

// operator new and new[], which throw.
__attribute__((weak)) void _ZSt17__throw_bad_allocv(void);
void *_Znwm(size_t size);
void *_Znwm(size_t size) {
  if (JUDGE("new", NULL, -1)) _ZSt17__throw_bad_allocv();
  return REAL(_Znwm)(size);
}
void *_Znam(size_t size);
void *_Znam(size_t size) {
  if (JUDGE("new", NULL, -1)) _ZSt17__throw_bad_allocv();
  return REAL(_Znam)(size);
}
