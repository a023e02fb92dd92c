import type { Device } from '../dm/device.js';
import { CliError } from './command.js';
import { Exit } from './exit.js';

/** Bytes of a read or write. Memory is this and the depth, which is how many of them are in flight. */
const chunkSize = 1 << 20;

export interface Stretch {
  /** Bytes. */
  offset: number;
  depth: number;
}

/** The bytes of a device in order, the next chunks being read while one is used. @throws DeviceError */
export async function* readDevice(
  device: Device,
  { offset, length, depth }: Stretch & { length: number },
): AsyncGenerator<Uint8Array, void> {
  const end = offset + length;
  const running: Promise<Uint8Array>[] = [];
  let at = offset;
  while (at < end || running.length) {
    while (at < end && running.length < depth) {
      const next = Math.min(end, chunkEnd(at));
      const read = device.read(at, next - at);
      // It is looked at in its turn, which an earlier one's failure may keep from coming.
      read.catch(() => {});
      running.push(read);
      at = next;
    }
    yield await running.shift()!;
  }
}

/** Writes a stream to a device, and flushes it. @throws CliError when the stream is longer than the device; DeviceError */
export async function writeDevice(
  device: Device,
  { offset, depth }: Stretch,
  source: AsyncIterable<Uint8Array>,
): Promise<void> {
  const running: Promise<void>[] = [];
  let at = offset;
  for await (const chunk of chunks(source, offset)) {
    if (at + chunk.length > device.size)
      throw new CliError(`the input is longer than the device, which has ${device.size} bytes`, Exit.device);
    const write = device.write(at, chunk);
    write.catch(() => {});
    running.push(write);
    at += chunk.length;
    if (running.length === depth) await running.shift();
  }
  await Promise.all(running);
  await device.flush();
}

/** Cuts a stream where the chunks of a device end, so that a block is rarely written in two halves. */
async function* chunks(source: AsyncIterable<Uint8Array>, offset: number): AsyncGenerator<Uint8Array, void> {
  let chunk = Buffer.allocUnsafe(chunkEnd(offset) - offset);
  let filled = 0;
  for await (const bytes of source) {
    for (let taken = 0; taken < bytes.length; ) {
      const count = Math.min(bytes.length - taken, chunk.length - filled);
      chunk.set(bytes.subarray(taken, taken + count), filled);
      taken += count;
      filled += count;
      if (filled < chunk.length) continue;
      yield chunk;
      chunk = Buffer.allocUnsafe(chunkSize);
      filled = 0;
    }
  }
  if (filled) yield chunk.subarray(0, filled);
}

function chunkEnd(at: number): number {
  return (Math.floor(at / chunkSize) + 1) * chunkSize;
}
