import { basename, dirname, join } from 'node:path';

/** The hidden file beside `path` that is renamed to it when it is complete. */
export function partialPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.${process.pid}.part`);
}
