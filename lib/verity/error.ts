import { AlgError } from '../crypto/error.js';

export type VerityCode = 'EINVAL' | 'ENODEV' | 'EIO' | 'ENOSPC' | 'EPERM';

/** Why a verity image cannot be made, read or trusted. */
export class VerityError extends Error {
  override readonly name = 'VerityError';
  constructor(
    /** In veritysetup's words where it has some; it has two lines for some. */
    message: string,
    /** EINVAL: wrong parameters, or no verity image; ENODEV: cannot be opened; EIO: cannot be read or written, or ends too soon; ENOSPC: there is no room for it; EPERM: not to be trusted. */
    readonly code: VerityCode = 'EINVAL',
    /** What veritysetup leaves to guessing. */
    readonly detail?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Runs what reads and writes files: what the system says of it comes after veritysetup's words. @throws VerityError EIO, ENOSPC; what is no error of the system */
export async function inWords<T>(words: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof AlgError || code === undefined || code === 'ABORT_ERR') throw cause;
    throw new VerityError(words, isFull(cause) ? 'ENOSPC' : 'EIO', message, { cause });
  }
}

/** Whether a disk, a quota, or what a file may have is used up: ENOSPC, EDQUOT, EFBIG. libuv has no name for the second. */
export function isFull(error: unknown): boolean {
  return full.has(-((error as NodeJS.ErrnoException).errno ?? 0));
}

const full: ReadonlySet<number> = new Set([28, 122, 27]);
