import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * What two paths have in common exactly where they are one file or block device, by whatever links; also where the file does not exist yet, as
 * long as its folder does. A path whose folder cannot be reached has none with any other.
 */
export async function fileIdentity(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (found?.isBlockDevice()) return `block device ${found.rdev}`;
  if (found) return `file ${found.dev} ${found.ino}`;
  const folder = await realpath(dirname(path)).catch(() => undefined);
  return folder === undefined ? `unreachable ${path}` : `new ${join(folder, basename(path))}`;
}

/** Whether both are one file. */
export async function isSamePath(a: string, b: string): Promise<boolean> {
  return (await fileIdentity(a)) === (await fileIdentity(b));
}
