/** Why a crypt target cannot be: the kernel's words (what it writes to ti->error), the argument, and what is known beside. */
export class CryptError extends Error {
  override readonly name = 'CryptError';
  /** Name of an errno: EINVAL, the default, is a wrong argument. */
  readonly code: string;
  constructor(
    /** The kernel's words. */
    readonly reason: string,
    /** The name of the argument at fault: cipher, key, iv_offset, sector_size, ... */
    readonly argument: string,
    /** What the kernel leaves to guessing. Never a key. */
    readonly detail?: string,
    { code = 'EINVAL', ...options }: ErrorOptions & { code?: string } = {},
  ) {
    super(`${reason} (${argument}${detail ? `: ${detail}` : ''})`, options);
    this.code = code;
  }
}
