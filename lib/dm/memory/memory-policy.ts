import { type MakeMempool, makeMempool } from '../../base/mempool.js';
import { type MakeRequestSource, makeRequestSource } from './request-source.js';

/** Where the targets of a table have their memory from. */
export interface MemoryPolicy {
  /** Of `verity` and `crypt`: others than each device's own mempools may deadlock, or fail. */
  makeMempool: MakeMempool;
  /** Of `verity`, for the requests of a bio: other sources may fail bios for want of memory. */
  makeRequestSource: MakeRequestSource;
  /**
   * Of `crypt`: so many bytes that a write is encrypted into. It may throw, as an allocator without memory does: then they
   * come from a mempool.
   */
  allocate(bytes: number): Uint8Array;
}

/** What every device has; experiments and tests put others in its place. */
export const ownMemory: MemoryPolicy = { makeMempool, makeRequestSource, allocate: Buffer.allocUnsafeSlow };
