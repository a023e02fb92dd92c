import { type FileHandle, open, realpath, stat } from 'node:fs/promises';
import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { NewFile } from '../base/new-file.js';
import { catchingSignals, signalStatus } from './stop-signals.js';

type Source = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Writes all of `source`, through `cipher` if there is one, to a file as completeFile does, or to stdout for '-'.
 * @throws the error of the source or of the file
 */
export async function writeOutput(path: string, source: Source, cipher?: Transform): Promise<void> {
  if (path === '-') {
    const end = { end: false };
    return cipher ? pipeline(source, cipher, process.stdout, end) : pipeline(source, process.stdout, end);
  }
  await completeFile(path, (file) => {
    const writeAll = async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) await file.writeFile(chunk);
    };
    return cipher ? pipeline(source, cipher, writeAll) : pipeline(source, writeAll);
  });
}

/**
 * Lets `write` write a file, which has its final name only when it is complete: an error, a signal or a kill leaves nothing under it. What
 * is no regular file (a device, a pipe) is written as it is. `mode`: of a file that is new. @throws what `write` throws
 */
export async function completeFile(
  path: string,
  write: (file: FileHandle) => Promise<void>,
  mode?: number,
): Promise<void> {
  const existing = await stat(path).catch(() => undefined);
  if (existing && !existing.isFile()) {
    const device = await open(path, 'w');
    try {
      return await write(device);
    } finally {
      await device.close();
    }
  }
  let begun: NewFile | undefined;
  const stop = (signal: NodeJS.Signals) => {
    begun?.discard();
    process.exit(signalStatus(signal));
  };
  await catchingSignals(stop, async () => {
    await using file = await NewFile.create(existing ? await realpath(path) : path, mode);
    begun = file;
    await write(file.handle);
    if (existing) await file.handle.chmod(existing.mode);
    await file.commit({ replace: true });
  });
}
