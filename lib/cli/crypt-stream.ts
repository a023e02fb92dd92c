import type { FileHandle } from 'node:fs/promises';
import type { Direction } from '../alg/iv.js';
import type { CryptConvert } from '../dm/crypt/convert.js';

/** Fills as much of a buffer as there is, from where the last call ended; fewer bytes only at the end. */
export type Reader = (into: Buffer) => Promise<number>;

/** Bytes of a bio, and how many are being read, converted and written at once. Memory is their product. */
export const bioSize = 1 << 20;
const bios = 4;

/**
 * The whole input, converted, in order. While a bio is written the next ones are converted and read: each chunk's buffer is used again
 * as soon as the next chunk is asked for. @throws RangeError for a last sector that is cut off, naming what is over
 */
export async function* convertAll(
  convert: CryptConvert,
  direction: Direction,
  read: Reader,
): AsyncGenerator<Buffer, void> {
  let position = 0;
  let ended = false;
  let last: Promise<unknown> = Promise.resolve();
  const start = (buffer: Buffer) => {
    // Reads go one after the other, as a pipe wants it; what has been read is converted meanwhile.
    const reading = last.then(async () => {
      const sector = position / 512;
      const size = ended ? 0 : await read(buffer);
      ended ||= size < buffer.length;
      position += size;
      return { sector, data: buffer.subarray(0, size) };
    });
    last = reading;
    const done = reading.then(async ({ sector, data }) => {
      checkWhole(position, data.length % convert.sectorSize, convert.sectorSize);
      await convert.convert(direction, sector, data, data);
      return { buffer, data };
    });
    done.catch(() => {}); // it is awaited later, in its turn
    return done;
  };
  const queue = Array.from({ length: bios }, () => start(Buffer.allocUnsafeSlow(bioSize)));
  try {
    for (;;) {
      const { buffer, data } = await queue.shift()!;
      if (data.length === 0) return;
      yield data;
      queue.push(start(buffer));
    }
  } finally {
    ended = true;
    await Promise.allSettled(queue); // the key must outlive what is in flight
  }
}

/** @throws RangeError that says how many bytes are over */
export function checkWhole(size: number, over: number, sectorSize: number): void {
  if (over)
    throw new RangeError(`IN: expected whole sectors of ${sectorSize} bytes, got ${over} bytes over, ${size} in all`);
}

/** Reads a file or a block device from its start. */
export function fileReader(file: FileHandle): Reader {
  let position = 0;
  return async (into) => {
    let filled = 0;
    while (filled < into.length) {
      const { bytesRead } = await file.read(into, filled, into.length - filled, position);
      if (bytesRead === 0) break;
      filled += bytesRead;
      position += bytesRead;
    }
    return filled;
  };
}

/** Reads a pipe. */
export function streamReader(stream: AsyncIterable<Uint8Array>): Reader {
  const chunks = stream[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  return async (into) => {
    let filled = 0;
    while (filled < into.length) {
      if (rest.length === 0) {
        const next = await chunks.next();
        if (next.done) break;
        rest = next.value;
      }
      const taken = rest.subarray(0, into.length - filled);
      into.set(taken, filled);
      filled += taken.length;
      rest = rest.subarray(taken.length);
    }
    return filled;
  };
}
