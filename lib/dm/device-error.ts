/** Sectors of a device that an operation failed on. */
export interface FailedSectors {
  sector: number;
  sectors: number;
}

/** An operation on a device that failed: with which errno, and on exactly which sectors. */
export class DeviceError extends Error {
  override readonly name = 'DeviceError';

  constructor(
    /** Name of the errno: 'EIO', 'EILSEQ', 'EOPNOTSUPP', 'EINVAL', ... */
    readonly code: string,
    message: string,
    /** Empty where it is about no sector (a message, resume). */
    readonly failed: FailedSectors[] = [],
    options?: ErrorOptions,
  ) {
    super(`${code}: ${message}`, options);
  }
}
