import { addAbortSignal, Transform, type TransformCallback } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { valueError } from '../../base/bytes.js';
import type { Direction } from '../request/iv.js';
import { CipherMessage, type CipherOptions } from './cipher-message.js';
import { checkEncoding, type Data, type Key, toBytes } from './data.js';
import { drive, driveSync, type Steps } from './steps.js';
import { type StreamOptions, transformOptions } from './stream-options.js';

export interface CipherStreamOptions extends CipherOptions, StreamOptions {}

/** The most that a stream without an engine of its own runs in this thread at once: a lane would take longer to be asked. */
const turnSize = 2 ** 20;

/**
 * One message through a cipher, as node:crypto's Cipheriv and Decipheriv: either call update() and final(), which run in
 * this thread, or use it as a stream, which runs on the engine. It closes itself with the end of the message; destroy()
 * or `using` gives it up before.
 *
 * Data of any length goes through as it comes, except where a cipher takes a message whole in one request (xts, AEADs; see
 * maxRequest): there all output comes from final(), and of a decrypting AEAD only after the tag has been checked.
 */
export class Cipher extends Transform {
  readonly #message: CipherMessage;
  /** No engine was asked for. */
  readonly #isInline: boolean;
  #decoder: StringDecoder | undefined;
  #encoding: BufferEncoding | undefined;

  /** Made by createCipheriv and createDecipheriv. */
  constructor(direction: Direction, name: string, key: Key | null, iv: Data | null, options: CipherStreamOptions = {}) {
    const { signal, provider, engine, keySerial, authTagLength } = options;
    super(transformOptions(options));
    this.#isInline = engine === undefined || engine === 'auto';
    this.#message = new CipherMessage(direction, name, key, iv, {
      ...(provider && { provider }),
      ...(engine && { engine }),
      ...(keySerial !== undefined && { keySerial }),
      ...(authTagLength !== undefined && { authTagLength }),
    });
    if (signal) addAbortSignal(signal, this);
  }

  /** The next part of the message; what output there is by now. @throws AlgError, TypeError, RangeError */
  update(data: Data, inputEncoding?: BufferEncoding): Buffer;
  update(data: Data, inputEncoding: BufferEncoding | undefined, outputEncoding: BufferEncoding): string;
  update(data: Data, inputEncoding?: BufferEncoding, outputEncoding?: BufferEncoding): Buffer | string {
    const bytes = toBytes('data', data, inputEncoding);
    checkEncoding('outputEncoding', outputEncoding);
    // What is only collected is the caller's to change again.
    const part = this.#message.streams ? bytes : Uint8Array.from(bytes);
    return this.#output(driveSync(this.#message.update(part)), outputEncoding, false);
  }

  /** Ends the message: the rest of the output. @throws AlgError (EBADMSG: not authentic, or wrong padding), RangeError */
  final(): Buffer;
  final(outputEncoding: BufferEncoding): string;
  final(outputEncoding?: BufferEncoding): Buffer | string {
    checkEncoding('outputEncoding', outputEncoding);
    return this.#output(driveSync(this.#message.final()), outputEncoding, true);
  }

  /** Switches the PKCS#7 padding of cbc and ecb, which is on by default. Before the first data. @throws AlgError */
  setAutoPadding(on = true): this {
    this.#message.setPadding(on);
    return this;
  }

  /** Data that is authenticated and not encrypted. Before the first data. @throws AlgError, TypeError */
  setAAD(data: Data, encoding?: BufferEncoding): this {
    this.#message.addAad(toBytes('data', data, encoding));
    return this;
  }

  /** The tag of what was encrypted, after the end. @throws AlgError */
  getAuthTag(): Buffer {
    return Buffer.from(this.#message.getTag());
  }

  /** The tag to check, of authTagLength bytes. Before the end, when decrypting. @throws AlgError, TypeError, RangeError */
  setAuthTag(tag: Data, encoding?: BufferEncoding): this {
    this.#message.setTag(toBytes('tag', tag, encoding));
    return this;
  }

  /**
   * The most bytes of data (with an AEAD's associated data and tag) that a message may have; MAX_SAFE_INTEGER where it
   * goes through as it comes. @throws AlgError
   */
  maxRequest(): number {
    return this.#message.streams ? Number.MAX_SAFE_INTEGER : this.#message.tfm.maxRequest();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    // Lanes work on a copy: the chunk may be detached as soon as write() has returned.
    const isNow = this.#isInline && chunk.length <= turnSize && this.#message.streams;
    this.#run(this.#message.update(isNow ? chunk : Uint8Array.from(chunk)), isNow, callback);
  }
  override _flush(callback: TransformCallback): void {
    this.#run(this.#message.final(), this.#isInline && this.#message.collected <= turnSize, callback);
  }
  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#message.close();
    callback(error);
  }
  [Symbol.dispose](): void {
    this.destroy();
  }
  /** Gives it up, and resolves when nothing of it is in flight. */
  override async [Symbol.asyncDispose](): Promise<void> {
    this.destroy();
    await this.#message.idle();
  }

  /** In this thread, as node:crypto, so that what is read in the same turn is there; or on the engine. */
  #run(steps: Steps, isNow: boolean, callback: TransformCallback): void {
    if (isNow) {
      let output: Uint8Array;
      try {
        output = driveSync(steps);
      } catch (error) {
        callback(error as Error);
        return;
      }
      callback(null, output.length ? output : undefined);
      return;
    }
    drive(steps).then(
      (output) => callback(null, output.length ? output : undefined),
      (error: Error) => callback(error),
    );
  }

  // As node:crypto: one decoder for the whole message, as a character or group of base64 may lie across two outputs.
  #output(bytes: Uint8Array, encoding: BufferEncoding | undefined, last: boolean): Buffer | string {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (!encoding) return buffer;
    this.#encoding ??= encoding;
    if (plainEncoding(encoding) !== plainEncoding(this.#encoding))
      throw valueError(`outputEncoding: expected ${this.#encoding}, as before, got ${encoding}`);
    this.#decoder ??= new StringDecoder(encoding);
    return last ? this.#decoder.end(buffer) : this.#decoder.write(buffer);
  }
}

/** Encodings that have several names. */
function plainEncoding(encoding: BufferEncoding): string {
  const lower = encoding.toLowerCase().replace('-', '');
  return lower === 'ucs2' ? 'utf16le' : lower === 'binary' ? 'latin1' : lower;
}

/**
 * A stream that encrypts. `name` is the kernel's ('cbc(aes)', 'ctr(aes)', 'gcm(aes)', 'rfc7539(chacha20,poly1305)') or the
 * exact name of a driver; `iv` null for a cipher without. @throws AlgError, TypeError, RangeError
 */
export function createCipheriv(name: string, key: Key | null, iv: Data | null, options?: CipherStreamOptions): Cipher {
  return new Cipher('encrypt', name, key, iv, options);
}

/** A stream that decrypts; else as createCipheriv. @throws AlgError, TypeError, RangeError */
export function createDecipheriv(
  name: string,
  key: Key | null,
  iv: Data | null,
  options?: CipherStreamOptions,
): Cipher {
  return new Cipher('decrypt', name, key, iv, options);
}
