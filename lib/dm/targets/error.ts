import { type Area, openArea, takeArea } from '../area.js';
import { Arguments } from '../arguments.js';
import type { Bio } from '../bio.js';
import { TableError } from '../table-error.js';
import type { Target, TargetType } from '../target.js';

/** Fails whatever reaches it (drivers/md/dm-target.c:io_err_*). `<dev> <offset>` may stand for what is broken; it is not touched. */
class ErrorTarget implements Target {
  readonly discards = true;

  constructor(readonly area: Area | undefined) {}

  map(bio: Bio): void {
    bio.end('EIO');
  }

  status(kind: 'info' | 'table'): string {
    return kind === 'table' && this.area ? this.area.describe() : '';
  }
}

export const error: TargetType = {
  name: 'error',
  version: [1, 6, 0],
  async ctr(args, context) {
    if (args.length === 0) return new ErrorTarget(undefined);
    if (args.length !== 2) throw new TableError('Invalid argument count', { hint: 'expected [<dev> <offset>]' });
    return new ErrorTarget(await openArea(context, takeArea(new Arguments(args))));
  },
};
