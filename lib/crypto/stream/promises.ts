import { abortable, checkAborted } from '../../base/abort.js';
import { valueError } from '../../base/bytes.js';
import type { Direction } from '../request/iv.js';
import { type Data, toBytes } from './data.js';
import { type HashOptions, largestDigest, openHash } from './hash.js';
import { openMessage, type SealOptions } from './one-shot.js';
import { drive } from './steps.js';

export { randomBytesAsync as randomBytes } from './random.js';

/** A message, whole or as it comes: a stream, for example. */
export type Message = Data | AsyncIterable<Data>;

export interface Abortable {
  /** Looked at before and between pieces, and while waiting for data; then the promise rejects with an AbortError whose cause is the signal's reason. */
  signal?: AbortSignal;
}

/** What of a message is copied at a time. */
const pieceSize = 2 ** 20;

/**
 * The digest of a message. Works on copies: bytes that are detached meanwhile make it reject with a TypeError at worst.
 * Rejects with AlgError, AbortError, TypeError, or the stream's error.
 */
export async function hash(name: string, data: Message, options: HashOptions & Abortable = {}): Promise<Buffer> {
  const { signal, ...rest } = options;
  checkAborted(signal);
  const whole = isAsync(data) ? undefined : toBytes('data', data);
  using tfm = openHash(name, rest);
  const request = tfm.request();
  const digest = Buffer.alloc(tfm.info.digestSize ?? largestDigest);
  if (whole && whole.length <= pieceSize) {
    request.src = Uint8Array.from(whole);
    request.dst = digest;
    const size = await request.run();
    checkAborted(signal);
    return digest.subarray(0, size);
  }
  const feed = async (bytes: Uint8Array) => {
    for (const piece of ownPieces(bytes)) {
      await request.updateLater(piece);
      checkAborted(signal);
    }
  };
  if (whole) await feed(whole);
  else for await (const part of abortable(data as AsyncIterable<Data>, signal)) await feed(toBytes('data', part));
  checkAborted(signal);
  return digest.subarray(0, request.final(digest));
}

/**
 * The bytes piece by piece, each a copy: lanes work on what nobody can detach or change. The first is taken at once.
 * @throws TypeError when the rest has been detached meanwhile
 */
function* ownPieces(bytes: Uint8Array, size = pieceSize): Generator<Uint8Array> {
  const { length } = bytes;
  for (let at = 0; at < length; at += size) {
    if (bytes.length !== length)
      throw valueError('data: expected bytes that stay until the promise settles, got a detached ArrayBuffer');
    yield Uint8Array.from(bytes.subarray(at, at + size));
  }
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
  const whole = isAsync(data) ? undefined : toBytes('data', data);
  const message = openMessage(direction, name, options);
  // Where nothing goes through before the end, the message is one copy.
  const size = message.streams ? pieceSize : Number.MAX_SAFE_INTEGER;
  const output: Uint8Array[] = [];
  const feed = async (bytes: Uint8Array) => {
    for (const piece of ownPieces(bytes, size)) output.push(await drive(message.update(piece), signal));
  };
  try {
    if (whole) await feed(whole);
    else for await (const part of abortable(data as AsyncIterable<Data>, signal)) await feed(toBytes('data', part));
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
