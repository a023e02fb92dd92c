import type { Bio } from '../bio.js';
import type { Target, TargetType } from '../target.js';

/** Fails whatever reaches it (drivers/md/dm-target.c:io_err_*). Arguments, which may tell what is broken, are forgotten, as the kernel does. */
class ErrorTarget implements Target {
  readonly discards = true;

  map(bio: Bio): void {
    bio.end('EIO');
  }

  status(): string {
    return '';
  }
}

export const error: TargetType = {
  name: 'error',
  version: [1, 7, 0],
  async ctr() {
    return new ErrorTarget();
  },
};
