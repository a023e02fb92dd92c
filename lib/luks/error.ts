/**
 * Why a LUKS operation failed:
 * - `EINVAL`: an argument is not valid, or asks for what the volume cannot do
 * - `EPERM`: no key slot opens with this passphrase
 * - `ENOENT`: there is no such key slot, or no key slot that may be tried
 * - `ENOMEM`: Argon2's memory cannot be had
 * - `ENODEV`: there is no LUKS header, or it is damaged or truncated
 * - `EEXIST`: the key slot is in use, or there is a header already
 * - `ENOSPC`: no free key slot or no room for its key material
 * - `ENOTSUP`: the volume needs something that is not implemented
 */
export type LuksErrorCode = 'EINVAL' | 'EPERM' | 'ENOENT' | 'ENOMEM' | 'ENODEV' | 'EEXIST' | 'ENOSPC' | 'ENOTSUP';

/** An error of a LUKS header, of its key slots, or of the volume. The text never holds a key or a passphrase. */
export class LuksError extends Error {
  override readonly name = 'LuksError';
  readonly code: LuksErrorCode;

  constructor(code: LuksErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
