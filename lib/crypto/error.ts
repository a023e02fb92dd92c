import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

export interface AlgErrorFields {
  /** Name of the errno ('ENOENT', ...). */
  code: string;
  /** The positive errno. */
  errno: number;
  /** The system call that failed ('bind', 'setsockopt', 'sendmsg', 'recvmsg', 'io_submit', ...). */
  syscall: string;
  /** The algorithm's name as the caller gave it. */
  alg: string;
  /** Cause and remedy, in a sentence. */
  hint: string;
}

/** A refusal by the kernel or the library: what was tried, on which algorithm, and what to do about it. */
export class AlgError extends Error implements AlgErrorFields {
  override readonly name = 'AlgError';
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly alg: string;
  readonly hint: string;

  constructor(fields: AlgErrorFields, options?: ErrorOptions) {
    super(`${fields.syscall} ${fields.alg}: ${fields.code}: ${fields.hint}`, options);
    this.code = fields.code;
    this.errno = fields.errno;
    this.syscall = fields.syscall;
    this.alg = fields.alg;
    this.hint = fields.hint;
  }
}

/** Errors that AF_ALG gives and neither libuv nor node:os names. */
const furtherNames: Record<number, string> = {
  80: 'ELIBBAD',
  94: 'ESOCKTNOSUPPORT',
  126: 'ENOKEY',
  127: 'EKEYEXPIRED',
  128: 'EKEYREVOKED',
  129: 'EKEYREJECTED',
};

/** The name of an errno and the system's text for it. */
export function errnoName(errno: number): { code: string; text: string } {
  const entry = getSystemErrorMap().get(-errno);
  if (entry) return { code: entry[0], text: entry[1] };
  const name = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0];
  return { code: furtherNames[errno] ?? name ?? `E${errno}`, text: 'the kernel refused' };
}

const noAfAlg =
  'this kernel has no AF_ALG (not built, module af_alg missing, or crypto.af_alg_restrict=2); use the library provider, or run the command with `dmalg lab`';
const forbidden =
  'AF_ALG is forbidden here (a seccomp filter, as of a container, or a security module); allow socket family 38, or use the library provider';

/** Cause and remedy, by system call and error; '*' is any call. */
const hints: Record<string, Record<string, string>> = {
  socket: { EAFNOSUPPORT: noAfAlg, EPERM: forbidden, EACCES: forbidden },
  bind: {
    ENOENT:
      'the kernel does not offer it: unknown name, wrong type, module missing, or crypto.af_alg_restrict; `dmalg info` lists what it offers',
    ELIBBAD: "it failed the kernel's self-test; see dmesg, and use another driver",
    EINVAL: 'no such type of algorithm in this kernel (module algif_* missing?), or bad flags',
    EACCES: forbidden,
  },
  'setsockopt(key)': {
    EINVAL: 'the key is not one for this algorithm (its size, a weak key, or equal halves)',
    ENOPROTOOPT: 'this algorithm takes no key',
    EOPNOTSUPP: 'this algorithm takes no key',
    ENOSYS: 'this algorithm takes no key',
    ENOMEM: "the key is longer than the socket's option memory (net.core.optmem_max)",
  },
  'setsockopt(key serial)': {
    ENOPROTOOPT:
      'this kernel cannot take a key by its serial (needs Linux 6.2 and a key of type user, logon, encrypted or trusted)',
    ENOKEY: 'no key has this serial, or it may not be read',
  },
  'setsockopt(authsize)': { EINVAL: 'the algorithm has no tag of this size' },
  clone: { EAGAIN: 'no more threads may be started (ulimit -u, or the pids limit of a control group)' },
  library: { ENOENT: "this process's libcrypto does not know it; the kernel's provider may, where there is AF_ALG" },
  io_setup: { ENOSYS: 'this kernel has no AIO; use the engine lanes', EAGAIN: 'no AIO contexts left (fs.aio-max-nr)' },
  '*': {
    EBADMSG: 'authentication failed: the data, the associated data, the tag, or the key is not what was sealed',
    ENOKEY: 'set the key first',
    EMSGSIZE: 'the request is longer than the socket takes at once; see maxRequest',
    EBUSY: 'a request is in flight here already; use another request (one op socket each)',
    ENOSPC: "the driver's queue is full; keep fewer requests in flight",
    EMFILE: 'this process has too many descriptors open (ulimit -n)',
    ENFILE: 'the system has too many files open',
    ENOMEM: 'out of memory',
    EBADF: 'it is closed',
    ECANCELED: 'the engine was closed before the request ran',
    EAGAIN: 'there is no complete request in the socket to read the result of',
  },
};

/** Makes the error of a native result. `result` is -errno. */
export function algError(syscall: string, alg: string, result: number, hint?: string): AlgError {
  const errno = -result;
  const { code, text } = errnoName(errno);
  const found = hint ?? hints[syscall]?.[code] ?? hints['*']?.[code] ?? text;
  return new AlgError({ code, errno, syscall, alg, hint: found });
}
