import { setImmediate } from 'node:timers/promises';
import { abortable, checkAborted } from '../../base/abort.js';
import type { Direction } from '../request/iv.js';
import { type Data, toBytes } from './data.js';
import { createHash, type HashOptions, openHash } from './hash.js';
import { openMessage, type SealOptions } from './one-shot.js';
import { drive } from './steps.js';

export { randomBytesAsync as randomBytes } from './random.js';

/** A message, whole or as it comes: a stream, for example. */
export type Message = Data | AsyncIterable<Data>;

export interface Abortable {
  /** Looked at before and between pieces, and while waiting for data; then the promise rejects with an AbortError whose cause is the signal's reason. */
  signal?: AbortSignal;
}

/** A longer message is not one request: a sendmsg ends at 2 GiB. */
const largestPiece = 2 ** 30;
/** What is hashed in this thread before others have their turn. */
const turnSize = 2 ** 20;

/** The digest of a message. Rejects with AlgError, AbortError, TypeError, or the stream's error. */
export async function hash(name: string, data: Message, options: HashOptions & Abortable = {}): Promise<Buffer> {
  const { signal, ...rest } = options;
  checkAborted(signal);
  const whole = isAsync(data) ? undefined : toBytes('data', data);
  if (whole && whole.length <= largestPiece) {
    using tfm = openHash(name, rest);
    const request = tfm.request();
    request.src = whole;
    request.dst = Buffer.alloc(tfm.info.digestSize ?? 64);
    const size = await request.run();
    checkAborted(signal);
    return Buffer.from(request.dst.subarray(0, size));
  }
  using running = createHash(name, rest);
  let turn = 0;
  for await (const each of whole ? [whole] : abortable(data as AsyncIterable<Data>, signal)) {
    const part = toBytes('data', each);
    for (let at = 0; at < part.length; at += turnSize) {
      const piece = part.subarray(at, at + turnSize);
      turn += piece.length;
      if (turn >= turnSize) {
        // Hashing is this thread's: others have their turn, and the signal its chance.
        await setImmediate();
        turn = 0;
      }
      checkAborted(signal);
      running.update(piece);
    }
  }
  checkAborted(signal);
  return running.digest();
}

/** Encrypts a message; an AEAD's tag follows its ciphertext. Rejects as `encrypt` throws, and with AbortError. */
export function encrypt(name: string, options: SealOptions & Abortable, data: Message): Promise<Buffer> {
  return seal('encrypt', name, options, data);
}

/** Decrypts a message; an AEAD's tag follows its ciphertext. Rejects as `decrypt` throws, and with AbortError. */
export function decrypt(name: string, options: SealOptions & Abortable, data: Message): Promise<Buffer> {
  return seal('decrypt', name, options, data);
}

async function seal(
  direction: Direction,
  name: string,
  { signal, ...options }: SealOptions & Abortable,
  data: Message,
): Promise<Buffer> {
  checkAborted(signal);
  const source = isAsync(data) ? abortable(data, signal) : [toBytes('data', data)];
  const message = openMessage(direction, name, options);
  try {
    const output: Uint8Array[] = [];
    for await (const part of source) output.push(await drive(message.update(toBytes('data', part)), signal));
    output.push(await drive(message.final(), signal));
    checkAborted(signal);
    return Buffer.concat(output);
  } finally {
    message.close();
  }
}

function isAsync(data: Message): data is AsyncIterable<Data> {
  return typeof data === 'object' && data !== null && Symbol.asyncIterator in data;
}
