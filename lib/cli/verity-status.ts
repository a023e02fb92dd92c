import type { VerityCode } from '../dm/verity/error.js';
import { Exit } from './command.js';

/** Exit statuses, which are veritysetup's: it takes what it cannot read or write for wrong parameters. */
export const verityStatus: Record<VerityCode, number> = {
  EINVAL: Exit.usage,
  EIO: Exit.usage,
  ENODEV: Exit.device,
  EPERM: Exit.verification,
};
