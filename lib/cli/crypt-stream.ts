import type { FileHandle } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import type { Direction } from '../crypto/request/iv.js';
import type { CryptConvert } from '../crypto/sector/convert.js';

/** Fills as much of a buffer as there is, from where the last call ended; fewer bytes only at the end. */
export type Reader = (into: Buffer) => Promise<number>;

/** Writes all of a buffer after what the last call wrote. The buffer is the caller's again when it resolves. */
export type Writer = (bytes: Buffer) => Promise<void>;

/** Bytes of a bio, and how many are being read, converted and written at once. Memory is their product. */
const bioSize = 1 << 20;
const bios = 4;

/**
 * Converts the whole input. One bio is read, one is written, and those between are converted, all at the same time. Reads and
 * writes go one after the other, as a pipe wants it; of a file a second write could only wait, as the kernel locks the inode.
 * Resolves, or rejects, when nothing is in flight: the key must outlive that. @throws RangeError for a last sector that is cut
 * off, naming what is over
 */
export async function convertAll(
  convert: CryptConvert,
  direction: Direction,
  read: Reader,
  write: Writer,
): Promise<void> {
  let position = 0;
  let ended = false;
  const next = async (buffer: Buffer) => {
    const size = ended ? 0 : await read(buffer);
    const sector = position / 512;
    ended ||= size < buffer.length;
    position += size;
    checkWhole(position, size % convert.sectorSize, convert.sectorSize);
    return { sector, data: buffer.subarray(0, size) };
  };
  let reading: Promise<unknown> = Promise.resolve();
  let writing: Promise<unknown> = Promise.resolve();
  const pass = async (buffer: Buffer) => {
    try {
      for (;;) {
        const bio = reading.then(() => next(buffer));
        reading = bio;
        const { sector, data } = await bio;
        if (data.length === 0) return;
        // Bios come here in the order in which they were read, and so they are written.
        const before = writing;
        const converted = convert.convert(direction, sector, data, data);
        writing = converted.then(() => before).then(() => write(data));
        await writing;
      }
    } catch (error) {
      ended = true;
      throw error;
    }
  };
  const passes = Array.from({ length: bios }, () => pass(Buffer.allocUnsafeSlow(bioSize)));
  const failed = (await Promise.allSettled(passes)).find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
}

/** @throws RangeError that says how many bytes are over */
export function checkWhole(size: number, over: number, sectorSize: number): void {
  if (over)
    throw new RangeError(`IN: expected whole sectors of ${sectorSize} bytes, got ${over} bytes over, ${size} in all`);
}

/** Reads a file, a device or a named pipe. */
export function fileReader(file: FileHandle): Reader {
  return async (into) => {
    let filled = 0;
    while (filled < into.length) {
      const { bytesRead } = await file.read(into, filled, into.length - filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return filled;
  };
}

/** Reads stdin. */
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

/** Writes a file, a device or a named pipe. */
export function fileWriter(file: FileHandle): Writer {
  return async (bytes) => {
    for (let written = 0; written < bytes.length; )
      written += (await file.write(bytes, written, bytes.length - written)).bytesWritten;
  };
}

/** Writes stdout. */
export function streamWriter(stream: Writable): Writer {
  stream.on('error', () => {}); // the write that failed says it
  return (bytes) =>
    new Promise((resolve, reject) => {
      stream.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
}
