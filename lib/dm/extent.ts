import type { BlockDevice } from './target.js';

/** Sectors that are alike in whether anything lies in them. */
export interface Extent {
  sectors: number;
  /** Nothing does: they read as zeroes, and take no space. */
  hole: boolean;
}

/** What a device or a target says of itself (BlockDevice.extent); of one that cannot tell all is data. */
export function extentOf(of: Pick<BlockDevice, 'extent'>, sector: number, sectors: number): Extent {
  return of.extent?.(sector, sectors) ?? { sectors, hole: false };
}
