// The peer of `bench`: the same system calls as one synchronous AF_ALG request makes, in a C loop.
// syscall-loop ALGORITHM BYTES COUNT: prints microseconds per request.
#include <linux/if_alg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void fail(const char* what) {
  perror(what);
  exit(1);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: syscall-loop ALGORITHM BYTES COUNT\n");
    return 1;
  }
  size_t size = strtoul(argv[2], NULL, 10);
  long count = strtol(argv[3], NULL, 10);
  struct sockaddr_alg address = {.salg_family = AF_ALG, .salg_type = "skcipher"};
  strncpy((char*)address.salg_name, argv[1], sizeof(address.salg_name) - 1);
  uint8_t key[32] = {7};
  int tfm = socket(AF_ALG, SOCK_SEQPACKET, 0);
  if (tfm < 0) fail("socket");
  if (bind(tfm, (struct sockaddr*)&address, sizeof(address)) < 0) fail("bind");
  if (setsockopt(tfm, SOL_ALG, ALG_SET_KEY, key, sizeof(key)) < 0) fail("setsockopt");
  int op = accept(tfm, NULL, NULL);
  if (op < 0) fail("accept");
  uint8_t* src = malloc(size);
  uint8_t* dst = malloc(size);
  memset(src, 3, size);

  union {
    struct cmsghdr header;
    uint8_t bytes[CMSG_SPACE(4) + CMSG_SPACE(sizeof(struct af_alg_iv) + 16)];
  } control;
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (long i = 0; i < count; i++) {
    memset(&control, 0, sizeof(control));
    struct iovec iov = {src, size};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_ALG;
    header->cmsg_type = ALG_SET_OP;
    header->cmsg_len = CMSG_LEN(4);
    *(uint32_t*)CMSG_DATA(header) = ALG_OP_ENCRYPT;
    header = CMSG_NXTHDR(&message, header);
    header->cmsg_level = SOL_ALG;
    header->cmsg_type = ALG_SET_IV;
    header->cmsg_len = CMSG_LEN(sizeof(struct af_alg_iv) + 16);
    struct af_alg_iv* iv = (struct af_alg_iv*)CMSG_DATA(header);
    iv->ivlen = 16;
    memset(iv->iv, 1, 16);
    if (sendmsg(op, &message, 0) != (ssize_t)size) fail("sendmsg");
    if (recv(op, dst, size, 0) != (ssize_t)size) fail("recv");
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.3f\n", ((end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec)) / 1e3 / count);
  return 0;
}
