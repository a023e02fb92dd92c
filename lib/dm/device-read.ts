import { Bio, type BioError, sectorSize } from './bio.js';
import type { BlockDevice } from './target.js';

/** Reads whole sectors of a device below, from a byte on. Resolves to why they could not all be read, or to null. */
export function readBelow(device: BlockDevice, position: number, bytes: Uint8Array): Promise<BioError | null> {
  return new Promise((resolve) => {
    device.submit(new Bio({ op: 'read', sector: position / sectorSize, bytes }, resolve));
  });
}
