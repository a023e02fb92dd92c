import type { Stats } from 'node:fs';

/** Whether both are one file or one block device, whatever their paths. */
export function isSameFile(a: Stats, b: Stats): boolean {
  return a.isBlockDevice() ? b.isBlockDevice() && a.rdev === b.rdev : a.dev === b.dev && a.ino === b.ino;
}
