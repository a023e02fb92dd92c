import { addAbortSignal, Transform, type TransformCallback } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { rangeError } from '../../base/bytes.js';
import { EBADF } from '../../base/errno.js';
import { algError } from '../error.js';
import type { Request } from '../request/request.js';
import { Tfm, type TfmOptions } from '../request/tfm.js';
import { checkEncoding, type Data, type Key, toBytes, withSecret } from './data.js';
import { type StreamOptions, transformOptions } from './stream-options.js';

export interface HashOptions extends Pick<TfmOptions, 'provider' | 'engine' | 'keySerial'> {
  /** The key, for a hash that takes one: hmac(...), cmac(...). */
  key?: Key;
}

export interface HashStreamOptions extends HashOptions, StreamOptions {
  /** Bytes of the digest, as node:crypto has it for hashes of any length: here it has to be what the hash has. */
  outputLength?: number;
}

/** Opens a hash's tfm. @throws AlgError, TypeError */
export function openHash(name: string, options: HashOptions): Tfm {
  const { key, provider, engine, keySerial } = options;
  const rest = {
    ...(provider && { provider }),
    ...(engine && { engine }),
    ...(keySerial !== undefined && { keySerial }),
  };
  return withSecret('key', key, (bytes) => new Tfm('hash', name, { ...rest, ...(bytes && { key: bytes }) }));
}

/** A tfm that a hash and its copies have together: the last one closes it. */
interface Shared {
  tfm: Tfm;
  users: number;
}

/** No single call hashes more: it is one sendmsg, and the kernel cuts those at 2 GiB. */
const pieceSize = 2 ** 30;
/** The most a stream hashes before the event loop has its turn. */
const turnSize = 2 ** 20;

/**
 * The digest of one message, as node:crypto's Hash: call update() and digest(), or use it as a stream whose output is the
 * digest. Any length. It closes itself with digest(); destroy() or `using` gives it up before.
 */
export class Hash extends Transform {
  readonly #shared: Shared;
  readonly #request: Request;
  /** Released: by digest(), by the end of the stream, or by destroy(). */
  #ended = false;
  /** What the end of the stream, or digest(), gave; the other one of them may ask for it, too. */
  #digest: Buffer | undefined;
  /** digest() was called. */
  #taken = false;

  /** Made by createHash. */
  constructor(from: { name: string; options: HashStreamOptions } | { shared: Shared; request: Request }) {
    super('options' in from ? transformOptions(from.options) : {});
    if ('options' in from) {
      const { signal, outputLength } = from.options;
      this.#shared = { tfm: openHash(from.name, from.options), users: 1 };
      try {
        checkOutputLength(this.#shared.tfm, outputLength);
        this.#request = this.#shared.tfm.request();
      } catch (error) {
        this.#shared.tfm.close();
        throw error;
      }
      if (signal) addAbortSignal(signal, this);
    } else {
      this.#shared = from.shared;
      this.#shared.users++;
      this.#request = from.request;
    }
  }

  /** The next part of the message. @throws AlgError, TypeError */
  update(data: Data, inputEncoding?: BufferEncoding): this {
    this.#checkOpen('update');
    const bytes = toBytes('data', data, inputEncoding);
    for (let at = 0; at < bytes.length; at += pieceSize) this.#request.update(bytes.subarray(at, at + pieceSize));
    return this;
  }

  /** Ends the message: its digest. @throws AlgError */
  digest(): Buffer;
  digest(encoding: BufferEncoding): string;
  digest(encoding?: BufferEncoding): Buffer | string {
    if (this.#taken || !this.#digest) this.#checkOpen('digest');
    checkEncoding('encoding', encoding);
    const digest = this.#finish();
    this.#taken = true;
    return encoding ? digest.toString(encoding) : Buffer.from(digest);
  }

  /** The digest, once computed and then kept. */
  #finish(): Buffer {
    if (this.#digest) return this.#digest;
    const digest = Buffer.alloc(this.#shared.tfm.info.digestSize ?? largestDigest);
    try {
      this.#digest = digest.subarray(0, this.#request.final(digest));
      return this.#digest;
    } finally {
      this.#end();
    }
  }

  /** Another hash that goes on from here; after the end of the stream, one with its digest. @throws AlgError */
  copy(): Hash {
    if (this.#digest && !this.#taken) {
      const copy = new Hash({ shared: this.#shared, request: this.#request });
      copy.#digest = this.#digest;
      copy.#ended = true;
      return copy;
    }
    this.#checkOpen('copy');
    return new Hash({ shared: this.#shared, request: this.#request.clone() });
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    if (chunk.length > turnSize) {
      this.#take(chunk).then(() => callback(), callback);
      return;
    }
    // At once, as node:crypto: what is read in the same turn is there.
    try {
      this.update(chunk);
    } catch (error) {
      callback(error as Error);
      return;
    }
    callback();
  }
  override _flush(callback: TransformCallback): void {
    try {
      callback(null, this.#finish());
    } catch (error) {
      callback(error as Error);
    }
  }
  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#end();
    callback(error);
  }
  [Symbol.dispose](): void {
    this.destroy();
  }
  override async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
  }

  async #take(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; at += turnSize) {
      if (at) await setImmediate();
      this.update(chunk.subarray(at, at + turnSize));
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#request.close();
    if (--this.#shared.users === 0) this.#shared.tfm.close();
  }

  #checkOpen(method: string): void {
    if (!this.#ended) return;
    const hint = 'Digest already called, or the hash was closed; make a new one, or copy() before digest()';
    throw algError(method, this.#shared.tfm.name, -EBADF, hint);
  }
}

/**
 * A hash by its kernel name ('sha256', 'hmac(sha256)', 'cmac(aes)', 'blake2b-512') or the exact name of a driver.
 * @throws AlgError, TypeError
 */
export function createHash(name: string, options: HashStreamOptions = {}): Hash {
  return new Hash({ name, options });
}

/** createHash(`hmac(${name})`) with this key, as node:crypto's createHmac. @throws AlgError, TypeError */
export function createHmac(name: string, key: Key, options: Omit<HashStreamOptions, 'key'> = {}): Hash {
  return createHash(`hmac(${name})`, { ...options, key });
}

/** @throws RangeError */
function checkOutputLength({ name, info }: Tfm, outputLength: number | undefined): void {
  if (outputLength !== undefined && outputLength !== info.digestSize)
    throw rangeError(`outputLength: expected ${info.digestSize} bytes, which ${name} has, got ${outputLength}`);
}

/** Where /proc/crypto cannot be read, no digest is longer (crypto/hash.h: HASH_MAX_DIGESTSIZE). */
export const largestDigest = 64;
