import { NbdErrno } from '../protocol.js';
import type { Failure } from './reply.js';
import type { Request } from './request.js';

/** Sectors of a backing's errors. */
const sectorSize = 512;

/** Errnos that the protocol has no number for, and what stands for them. */
const standIns: Record<string, keyof typeof NbdErrno> = {
  EROFS: 'EPERM',
  EACCES: 'EPERM',
  EDQUOT: 'ENOSPC',
  EFBIG: 'ENOSPC',
  EOPNOTSUPP: 'ENOTSUP',
};

/** What a client is told of an operation that its export's backing has failed. The error's words, which may name files, stay here. */
export function backingFailure(error: unknown, { offset, length }: Request): Failure {
  const { code = '', failed = [] } = error as { code?: string; failed?: { sector: number }[] };
  const known = Object.hasOwn(NbdErrno, code) ? (code as keyof typeof NbdErrno) : (standIns[code] ?? 'EIO');
  const [first] = failed;
  if (!first || length === 0) return { code: known, why: '' };
  // The backing counts whole blocks, which may begin before the request does.
  const at = Math.min(Math.max(first.sector * sectorSize, offset), offset + length - 1);
  return { code: known, why: '', offset: at };
}
