import { rmSync } from 'node:fs';
import { chmod, open, realpath, rename, stat } from 'node:fs/promises';
import type { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { partialPath } from '../base/partial-path.js';
import { catchingSignals, signalStatus } from './stop-signals.js';

type Source = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Writes all of `source`, through `cipher` if there is one, to a file as completeFile does, or to stdout for '-'.
 * @throws the error of the source or of the file
 */
export async function writeOutput(path: string, source: Source, cipher?: Transform): Promise<void> {
  const write = (to: Writable, end = true) =>
    cipher ? pipeline(source, cipher, to, { end }) : pipeline(source, to, { end });
  if (path === '-') return write(process.stdout, false);
  await completeFile(path, async (file, flags) => {
    // Opened before anything can fail: a stream that opens the file by itself may do so after the error has removed it.
    const handle = await open(file, flags);
    await write(handle.createWriteStream());
  });
}

/**
 * Lets `write` open a file with these flags, write and close it. The file has its final name only when it is complete: until then
 * it is a hidden one beside it, which an error or a signal removes. What is no regular file (a device, a pipe) is written
 * as it is. @throws what `write` throws
 */
export async function completeFile(
  path: string,
  write: (file: string, flags: 'w' | 'wx') => Promise<void>,
): Promise<void> {
  const existing = await stat(path).catch(() => undefined);
  if (existing && !existing.isFile()) return write(path, 'w');
  const target = existing ? await realpath(path) : path;
  const partial = partialPath(target);
  const remove = () => rmSync(partial, { force: true });
  const stop = (signal: NodeJS.Signals) => {
    remove();
    process.exit(signalStatus(signal));
  };
  await catchingSignals(stop, async () => {
    try {
      await write(partial, 'wx');
      if (existing) await chmod(partial, existing.mode);
      await rename(partial, target);
    } catch (error) {
      remove();
      throw error;
    }
  });
}
