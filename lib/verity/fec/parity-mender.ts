import { checkAborted } from '../../base/abort.js';
import { Bitmap } from '../bitmap.js';
import type { MendedImage } from './mended-image.js';
import { ParityEncoder } from './parity-encoder.js';
import { Parity, type ReedSolomon } from './reed-solomon.js';
import type { RowState } from './set-decoder.js';

/** Hears of each block of parity that is wrong, and in how many of its bytes. */
type OnWrong = (set: number, index: number, changed: number) => void;

/** Bytes of what lies behind the tree that are read at a time. */
const pieceSize = 1 << 20;

/**
 * Mends the parity of an image while its blocks are. Sets in which nothing was wrong are compared with what grows from the bytes that are read anyway; a set that
 * was looked at by itself is settled by its mended blocks. Parity is written only where all blocks of a set are right.
 */
export class ParityMender {
  readonly #mended: MendedImage;
  readonly #code: ReedSolomon;
  readonly #encoder: ParityEncoder;
  readonly #onWrong: OnWrong;
  readonly #signal: AbortSignal | undefined;
  /** Sets that have been looked at by themselves, and those of them whose parity has been, too. */
  readonly #touched: Bitmap;
  readonly #settled: Bitmap;

  constructor(mended: MendedImage, code: ReedSolomon, onWrong: OnWrong, signal: AbortSignal | undefined) {
    const { layout } = mended.image;
    this.#mended = mended;
    this.#code = code;
    this.#encoder = new ParityEncoder(layout, code);
    this.#onWrong = onWrong;
    this.#signal = signal;
    this.#touched = new Bitmap(layout.rounds);
    this.#settled = new Bitmap(layout.rounds);
  }

  /** Takes bytes of the message as they are read, once each. Zeroes may be left out. */
  add(position: number, bytes: Buffer): Promise<void> {
    return this.#encoder.add(position, bytes);
  }

  /** A set has been decoded: its parity is mended if its blocks are right. */
  async settle(set: number, states: readonly RowState[], message: Buffer, stored: Buffer): Promise<void> {
    this.#touched.add(set);
    if (this.#settled.has(set) || !states.every((state) => state === 'good' || state === 'foreign')) return;
    const right = await this.#parityOf(message.subarray(0, states.length * this.#mended.image.layout.blockSize));
    // Blocks that no digest tells of are as they were where the parity, too, says so; otherwise either may be wrong.
    if (states.includes('foreign') && !this.#mended.hasParity(set, right, stored)) return;
    this.#settled.add(set);
    await this.#write(set, right, stored);
  }

  /** When all of the tree and the data have been read. Returns the number of sets whose parity does not fit, and that nothing tells to be wrong. */
  async finish(decodeAgain: (set: number) => Promise<unknown>): Promise<number> {
    await this.#addForeign();
    let unjudged = await this.#compare();
    for (const set of this.#touched) {
      if (this.#settled.has(set)) continue;
      await decodeAgain(set);
      if (!this.#settled.has(set)) unjudged++;
    }
    return unjudged;
  }

  close(): void {
    this.#encoder.close();
  }

  /** What lies behind the tree is covered by FEC, and that is all. */
  async #addForeign(): Promise<void> {
    const { layout, tree } = this.#mended.image;
    const buffer = Buffer.allocUnsafeSlow(pieceSize);
    const start = (layout.dataBlocks + tree.layout.hashBlocks) * layout.blockSize;
    for (let at = start; at < layout.messageSize; at += pieceSize) {
      checkAborted(this.#signal);
      const piece = buffer.subarray(0, layout.messageSize - at);
      await this.#mended.readMessage(at, piece);
      await this.#encoder.add(at, piece);
    }
  }

  /** Mends the parity of the sets that have not been looked at by themselves. Returns the number of those where either may be wrong. */
  async #compare(): Promise<number> {
    const { layout, tree } = this.#mended.image;
    const { setParity } = layout;
    const foreign = layout.dataBlocks + tree.layout.hashBlocks;
    const isForeign = (set: number) => layout.block(set, layout.rowsOf(set) - 1) >= foreign;
    let unjudged = 0;
    let buffer = Buffer.alloc(0);
    await this.#encoder.finish({
      read: (position, into) => this.#mended.readMessage(position, into as Buffer),
      take: async (position, bytes) => {
        checkAborted(this.#signal);
        if (buffer.length < bytes.length) buffer = Buffer.allocUnsafeSlow(bytes.length);
        const held = buffer.subarray(0, bytes.length);
        await this.#mended.readParityAt(position, held);
        if (held.equals(bytes) && this.#mended.unreadParity.size === 0) return;
        for (let at = 0; at < bytes.length; at += setParity) {
          const set = (position + at) / setParity;
          const [right, stored] = [bytes, held].map((each) => each.subarray(at, at + setParity) as Buffer);
          if (this.#touched.has(set)) continue;
          if (isForeign(set) && !this.#mended.hasParity(set, right!, stored!)) unjudged++;
          else await this.#write(set, right!, stored!);
        }
      },
    });
    return unjudged;
  }

  async #write(set: number, right: Buffer, stored: Buffer): Promise<void> {
    const wrong = await this.#mended.writeParity(set, right, stored);
    for (const { index, changed } of wrong) this.#onWrong(set, index, changed);
  }

  async #parityOf(message: Buffer): Promise<Buffer> {
    const { blockSize, setParity } = this.#mended.image.layout;
    const parity = new Parity(this.#code, blockSize, blockSize);
    const bytes = Buffer.alloc(setParity);
    try {
      await parity.add(0, message);
      parity.read(0, bytes);
      return bytes;
    } finally {
      parity.close();
    }
  }
}
