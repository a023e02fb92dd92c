import { constants } from 'node:buffer';
import { checkAborted } from '../../base/abort.js';
import { checkInteger } from '../../base/bytes.js';
import type { Request } from '../request/request.js';
import { Tfm, type TfmOptions } from '../request/tfm.js';

export interface RandomOptions extends Pick<TfmOptions, 'provider' | 'engine'> {
  /** The generator by its kernel name or its driver's. Default 'stdrng'. */
  name?: string;
}

/** What a generator makes at a time, in bytes. */
const pieceSize = 64 * 1024;

/** Opens a generator. @throws AlgError, TypeError */
function openRandom(options: RandomOptions): Tfm {
  const { name = 'stdrng', ...rest } = options;
  return new Tfm('rng', name, rest);
}

function* pieces(tfm: Tfm, bytes: Uint8Array): Generator<Request> {
  const request = tfm.request();
  for (let at = 0; at < bytes.length; at += pieceSize) {
    request.dst = bytes.subarray(at, at + pieceSize);
    yield request;
  }
}

/** `size` random bytes, made in this thread. @throws AlgError, TypeError, RangeError */
export function randomBytes(size: number, options: RandomOptions = {}): Buffer {
  checkInteger('size', size, 0, constants.MAX_LENGTH);
  using tfm = openRandom(options);
  const bytes = Buffer.alloc(size);
  for (const request of pieces(tfm, bytes)) request.runSync();
  return bytes;
}

/** The same on the engine. Rejects with AlgError, TypeError, RangeError, or AbortError between pieces of 64 KiB. */
export async function randomBytesAsync(
  size: number,
  options: RandomOptions & { signal?: AbortSignal } = {},
): Promise<Buffer> {
  const { signal, ...rest } = options;
  checkInteger('size', size, 0, constants.MAX_LENGTH);
  checkAborted(signal);
  using tfm = openRandom(rest);
  const bytes = Buffer.alloc(size);
  for (const request of pieces(tfm, bytes)) {
    checkAborted(signal);
    await request.run();
  }
  return bytes;
}

/** Random bytes without end, in pieces of 64 KiB. @throws AlgError */
export async function* randomStream(options: RandomOptions = {}): AsyncGenerator<Buffer, never> {
  using tfm = openRandom(options);
  for (;;) {
    const bytes = Buffer.alloc(pieceSize);
    for (const request of pieces(tfm, bytes)) await request.run();
    yield bytes;
  }
}
