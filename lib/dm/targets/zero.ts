import type { Bio } from '../bio.js';
import type { Extent } from '../extent.js';
import { TableError } from '../table-error.js';
import type { Target, TargetType } from '../target.js';

/** Reads zeroes and forgets writes (drivers/md/dm-zero.c). */
class Zero implements Target {
  readonly discards = true;
  readonly discardsToZero = true;

  map(bio: Bio): void {
    if (bio.op === 'read') bio.bytes.fill(0);
    bio.end();
  }

  extent(_: number, sectors: number): Extent {
    return { sectors, hole: true };
  }

  status(): string {
    return '';
  }
}

export const zero: TargetType = {
  name: 'zero',
  version: [1, 2, 0],
  async ctr(args) {
    if (args.length !== 0) throw new TableError('No arguments required', { argument: 0 });
    return new Zero();
  },
};
