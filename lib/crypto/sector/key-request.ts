import { type MakeMempool, type Mempool, makeMempool as ownMempool } from '../../base/mempool.js';
import type { Part } from './iv/iv.js';
import type { IndexOf } from './outcome.js';

/** A part's own bytes, where its sectors do not lie together in the bio. */
export interface KeyRequest {
  bytes: Uint8Array;
  numbers: Uint32Array;
}

export const requestBytes = 65536;
/** dm-io's reserved_bio_based_ios. */
const defaultReserve = 16;

export function keyRequest(sectorSize: number, sectors: number): KeyRequest {
  return { bytes: new Uint8Array(sectors * sectorSize), numbers: new Uint32Array(sectors * 2) };
}

/** Nobody who holds one waits for the device below: a bio has given all back before it goes there, or it has been there. */
export function keyRequests(
  sectorSize: number,
  { reserve = defaultReserve, makeMempool = ownMempool }: { reserve?: number; makeMempool?: MakeMempool },
): Mempool<KeyRequest> {
  const sectors = requestBytes / sectorSize;
  return makeMempool('requests of a key', {
    reserve,
    allocate: () => keyRequest(sectorSize, sectors),
    bytes: requestBytes + sectors * 8,
  });
}

/** The sectors `indexOf(0)` to `indexOf(count - 1)` of a bio, moved together. */
export function gather(whole: Part, { bytes, numbers }: KeyRequest, count: number, indexOf: IndexOf): Part {
  const { sectorSize, src } = whole;
  for (let i = 0; i < count; i++) {
    const index = indexOf(i);
    bytes.set(src.subarray(index * sectorSize, (index + 1) * sectorSize), i * sectorSize);
    numbers.set(whole.numbers.subarray(index * 2, index * 2 + 2), i * 2);
  }
  const own = bytes.subarray(0, count * sectorSize);
  return { ...whole, numbers: numbers.subarray(0, count * 2), src: own, dst: own };
}
