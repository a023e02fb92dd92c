import { TransmissionFlag } from '../protocol.js';
import type { Export } from './export.js';

/** What a client and the server have settled in their negotiation. */
export interface Agreement {
  readonly export: Export;
  readonly structured: boolean;
  /** Whether the client may ask for the block status of the context `base:allocation`. */
  readonly allocation: boolean;
}

/**
 * What the client may send from now on (NBD_FLAG_). Several connections see one cache, that of the backing, so that a flush on one covers
 * the finished writes of all: NBD_FLAG_CAN_MULTI_CONN.
 */
export function transmissionFlags({
  export: { readOnly, backing },
  structured,
}: Omit<Agreement, 'allocation'>): number {
  const { hasFlags, canMultiConn, sendFlush, sendFua, sendDf, sendTrim, sendWriteZeroes } = TransmissionFlag;
  const flags = hasFlags | canMultiConn | sendFlush | sendFua | (structured ? sendDf : 0);
  if (readOnly) return flags | TransmissionFlag.readOnly;
  return flags | sendWriteZeroes | (backing.discards ? sendTrim : 0);
}
