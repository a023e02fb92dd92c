import { AlgError } from '../crypto/error.js';
import { CryptError } from '../crypto/sector/error.js';
import { DeviceError } from '../dm/device-error.js';
import { TableError } from '../dm/table-error.js';
import { LuksError, type LuksErrorCode } from '../luks/error.js';
import { type VerityCode, VerityError } from '../verity/error.js';
import { CliError } from './command.js';
import { Exit } from './exit.js';

/** As veritysetup, which takes what it cannot read or write for wrong parameters. */
const verityStatus: Record<VerityCode, number> = {
  EINVAL: Exit.usage,
  EIO: Exit.usage,
  ENODEV: Exit.device,
  ENOSPC: Exit.device,
  EPERM: Exit.verification,
};

/** As cryptsetup's. */
const luksStatus: Record<LuksErrorCode, number> = {
  EINVAL: Exit.usage,
  EPERM: Exit.verification,
  ENOENT: Exit.verification,
  ENOMEM: Exit.memory,
  ENODEV: Exit.device,
  EEXIST: Exit.busy,
  ENOSPC: Exit.usage,
  ENOTSUP: Exit.unsupported,
};

/** Of a table that cannot be opened; for every other code it is the device's fault. */
const tableStatus: Record<string, number> = {
  EINVAL: Exit.usage,
  ENOMEM: Exit.memory,
  EBUSY: Exit.busy,
  EOPNOTSUPP: Exit.unsupported,
  ENOPROTOOPT: Exit.unsupported,
};

/** The exit status that an error ends the program with. */
export function statusOf(error: unknown): number {
  if (error instanceof CliError) return error.status;
  if (error instanceof AlgError) {
    if (error.code === 'EBADMSG') return Exit.verification;
    if (error.code === 'ENOMEM') return Exit.memory;
    if (error.code === 'EBUSY') return Exit.busy;
    return Exit.unsupported;
  }
  if (error instanceof CryptError)
    return error.reason === 'Error allocating crypto tfm' ? Exit.unsupported : Exit.usage;
  if (error instanceof LuksError) return luksStatus[error.code];
  if (error instanceof VerityError) return verityStatus[error.code];
  if (error instanceof DeviceError && error.cause instanceof VerityError) return verityStatus[error.cause.code];
  if (error instanceof TableError && (error.cause instanceof CryptError || error.cause instanceof AlgError))
    return statusOf(error.cause);
  if (error instanceof TableError) return tableStatus[error.code] ?? Exit.device;
  if (isOutOfMemory(error)) return Exit.memory;
  return error instanceof TypeError || error instanceof RangeError ? Exit.usage : Exit.device;
}

/** V8 throws a RangeError, as for a wrong argument. */
function isOutOfMemory(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return (
    ['ENOMEM', 'ERR_MEMORY_ALLOCATION_FAILED'].includes(code ?? '') || message === 'Array buffer allocation failed'
  );
}
