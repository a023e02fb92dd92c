import { readFile, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { sectorSize } from './bio.js';

/** `major:minor` of a device, as glibc's <sys/sysmacros.h> packs them. */
export function deviceNumbers(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** The folder that tells of a block device with these numbers, however its node is called. */
export const sysfsOf = (numbers: string) => `/sys/dev/block/${numbers}`;

/** Its node in /dev. */
export async function nodeOf(numbers: string): Promise<string> {
  return `/dev/${basename(await realpath(sysfsOf(numbers)))}`;
}

/** Its bytes: fstat says 0 for a block device; sysfs knows, in sectors of 512 bytes. */
export async function blockDeviceSize(numbers: string): Promise<number> {
  return sectorSize * Number(await readFile(`${sysfsOf(numbers)}/size`, 'utf8'));
}
