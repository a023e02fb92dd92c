/** Why a verity image cannot be made, read or trusted, in veritysetup's words where it has some. */
export class VerityError extends Error {
  override readonly name = 'VerityError';
  constructor(
    message: string,
    /** EINVAL: wrong parameters or no verity image; ENODEV: cannot be opened; EIO: it ends too soon, or cannot be read. */
    readonly code: 'EINVAL' | 'ENODEV' | 'EIO' = 'EINVAL',
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
