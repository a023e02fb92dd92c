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

  constructor(fields: AlgErrorFields) {
    super(`${fields.syscall} ${fields.alg}: ${fields.code}: ${fields.hint}`);
    this.code = fields.code;
    this.errno = fields.errno;
    this.syscall = fields.syscall;
    this.alg = fields.alg;
    this.hint = fields.hint;
  }
}

/** The name and the system's text of an errno. */
export function errnoName(errno: number): { code: string; text: string } {
  const entry = getSystemErrorMap().get(-errno);
  if (entry) return { code: entry[0], text: entry[1] };
  const name = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0];
  return { code: name ?? EXTRA[errno] ?? `E${errno}`, text: 'error' };
}

/** Errors that AF_ALG gives and neither libuv nor node:os names. */
const EXTRA: Record<number, string> = { 80: 'ELIBBAD', 126: 'ENOKEY', 128: 'EKEYREVOKED', 129: 'EKEYREJECTED', 127: 'EKEYEXPIRED' };
