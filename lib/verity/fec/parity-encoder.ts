import { checkInteger, wrongSize } from '../../base/bytes.js';
import type { FecLayout } from './fec-layout.js';
import { Parity, type ReedSolomon } from './reed-solomon.js';

export interface ParityEncoderOptions {
  /** Bytes of parity that are held at a time. */
  window?: number;
}

/** How the parity of an image gets from its bytes to where it belongs. Positions are bytes, of the message and of the FEC area. */
export interface ParityStreams {
  /** Fills the buffer from the message. Called for what does not fit into the first window. */
  read(position: number, into: Uint8Array): Promise<void>;
  /** Takes the parity of some whole sets; the buffer is used again. They come in order. */
  take(position: number, parity: Uint8Array): Promise<void>;
}

/** Parity held, by default; it is that of 8 GiB with 2 roots. */
const defaultWindow = 64 << 20;
/** Bytes read and bytes of parity given at a time, and reads in flight. */
const pieceSize = 1 << 20;
const depth = 4;

/**
 * Makes the parity of an image in one pass over it, together with whatever else the bytes are read for: add() takes them as they come by, in any order.
 * Memory is bounded: where the parity is larger than the window, only its first part grows with that pass, and finish() reads for each of the others
 * the stretches of the image that belong to them.
 */
export class ParityEncoder {
  readonly layout: FecLayout;
  readonly #parity: Parity | undefined;
  /** Codewords of a window. */
  readonly #columns: number;

  /** @throws AlgError ENOMEM */
  constructor(layout: FecLayout, code: ReedSolomon, { window = defaultWindow }: ParityEncoderOptions = {}) {
    checkInteger('window', window, 1, Number.MAX_SAFE_INTEGER);
    this.layout = layout;
    const whole = Math.max(1, Math.floor(window / layout.setParity)) * layout.blockSize;
    this.#columns = Math.min(whole, layout.codewords);
    if (layout.codewords > 0) this.#parity = new Parity(code, layout.codewords, this.#columns);
  }

  /**
   * Takes a stretch of the message: each byte of it once, in any order, several at the same time. Zeroes may be left out. The bytes must stay as they
   * are until it is done.
   */
  async add(position: number, bytes: Uint8Array): Promise<void> {
    if (position + bytes.length > this.layout.messageSize)
      throw wrongSize('add', `bytes before ${this.layout.messageSize}`, position + bytes.length);
    if (bytes.length > 0) await this.#parity?.add(position, bytes);
  }

  /** Gives all parity, once the whole message has been added. */
  finish(streams: ParityStreams): Promise<void> {
    return this.#windows(streams, true);
  }

  /** Gives all parity of a message of which nothing has been added: it reads all of it. */
  encode(streams: ParityStreams): Promise<void> {
    return this.#windows(streams, false);
  }

  /** Frees the memory before the garbage collector would. */
  close(): void {
    this.#parity?.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  async #windows(streams: ParityStreams, added: boolean): Promise<void> {
    for (let first = 0; first < this.layout.codewords; first += this.#columns) {
      const columns = Math.min(this.#columns, this.layout.codewords - first);
      if (first > 0) this.#parity!.reset(first);
      if (first > 0 || !added) await this.#readWindow(first, columns, streams);
      await this.#give(first, columns, streams);
    }
  }

  /** Adds what of the message belongs to a window: one stretch of each row. */
  async #readWindow(first: number, columns: number, { read }: ParityStreams): Promise<void> {
    const { codewords, messageSize } = this.layout;
    const stretches = (function* () {
      for (let start = first; start < messageSize; start += codewords)
        for (let at = 0; at < columns; at += pieceSize) {
          const size = Math.min(pieceSize, columns - at, messageSize - start - at);
          if (size > 0) yield { position: start + at, size };
        }
    })();
    const worker = async () => {
      const buffer = Buffer.allocUnsafeSlow(Math.min(pieceSize, columns));
      for (const { position, size } of stretches) {
        const piece = buffer.subarray(0, size);
        await read(position, piece);
        await this.add(position, piece);
      }
    };
    await settled(Array.from({ length: depth }, worker));
  }

  async #give(first: number, columns: number, { take }: ParityStreams): Promise<void> {
    const { roots, blockSize, setParity } = this.layout;
    const piece = Math.min(columns, Math.max(1, Math.floor(pieceSize / setParity)) * blockSize);
    const buffer = Buffer.allocUnsafeSlow(piece * roots);
    for (let at = 0; at < columns; at += piece) {
      const part = buffer.subarray(0, Math.min(piece, columns - at) * roots);
      this.#parity!.read(at, part);
      await take((first + at) * roots, part);
    }
  }
}

/** Waits for all, then fails as the first that failed: what is in flight works on buffers. */
async function settled(promises: Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(promises);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
