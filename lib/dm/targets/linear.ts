import { type Area, openArea, takeArea } from '../area.js';
import { Arguments } from '../arguments.js';
import type { Bio } from '../bio.js';
import type { Extent } from '../extent.js';
import { TableError } from '../table-error.js';
import type { Target, TargetType } from '../target.js';

/** `<dev> <offset>`: the sectors of another device (drivers/md/dm-linear.c). */
class Linear implements Target {
  readonly flushes = true;
  readonly discards: boolean;
  readonly discardsToZero: boolean;
  readonly blockSize: number;

  constructor(readonly area: Area) {
    this.discards = area.device.discards;
    this.discardsToZero = area.device.discardsToZero ?? false;
    this.blockSize = area.device.blockSize;
  }

  map(bio: Bio): void {
    this.area.submit(bio);
  }

  extent(sector: number, sectors: number): Extent {
    return this.area.extent(sector, sectors);
  }

  status(kind: 'info' | 'table'): string {
    return kind === 'info' ? '' : this.area.describe();
  }
}

export const linear: TargetType = {
  name: 'linear',
  version: [1, 4, 0],
  async ctr(args, context) {
    if (args.length !== 2) throw new TableError('Invalid argument count', { hint: 'expected <dev> <offset>' });
    return new Linear(await openArea(context, takeArea(new Arguments(args))));
  },
};
