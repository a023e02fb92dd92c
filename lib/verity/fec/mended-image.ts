import type { WalkSource } from '../walk.js';
import type { FecImage } from './fec-image.js';
import type { SetSource, WordRange } from './set-decoder.js';

/** Which files may be written; what of the others is mended is kept in memory, as far as it is needed. */
export interface Writable {
  data: boolean;
  hash: boolean;
  fec: boolean;
}

/** Bytes of mended hash blocks that are kept where they cannot be written. What is below further ones stays unjudged. */
const maxKept = 256 << 20;

/** An image while it is being mended: what is read has been mended as far as that goes. */
export class MendedImage implements WalkSource, SetSource {
  readonly image: FecImage;
  readonly writable: Writable;
  readonly #hashBlocks = new Map<number, Buffer>();
  readonly #take: (position: number, bytes: Buffer) => Promise<void>;

  /** `take` gets what a walk reads, with its place in the message. */
  constructor(image: FecImage, writable: Writable, take: (position: number, bytes: Buffer) => Promise<void>) {
    this.image = image;
    this.writable = writable;
    this.#take = take;
  }

  read(level: number, first: number, into: Buffer): Promise<void> {
    return this.readMessage(this.image.blockOf(level, first) * this.image.layout.blockSize, into);
  }

  isHole(level: number, first: number, length: number): boolean {
    const { files, layout } = this.image;
    return level < 0 && files.dataFile.isHole(first * layout.blockSize, length);
  }

  take(level: number, first: number, bytes: Buffer): Promise<void> {
    return this.#take(this.image.blockOf(level, first) * this.image.layout.blockSize, bytes);
  }

  async readBlock(block: number, into: Buffer): Promise<boolean> {
    await this.readMessage(block * this.image.layout.blockSize, into);
    return true;
  }

  async readParity(set: number, into: Buffer): Promise<WordRange[]> {
    await this.readParityAt(set * this.image.layout.setParity, into);
    return [{ from: 0, to: this.image.layout.blockSize }];
  }

  /** Fills the bytes from the message: zeroes for blocks that cannot be read, or that are behind the end of a file which was cut off. */
  async readMessage(position: number, into: Buffer): Promise<void> {
    await this.#readLenient(position, into);
    if (this.#hashBlocks.size === 0) return;
    const { blockSize } = this.image.layout;
    for (let at = -(position % blockSize); at < into.length; at += blockSize) {
      const known = this.#hashBlocks.get((position + at) / blockSize);
      if (known) known.copy(into, Math.max(0, at), Math.max(0, -at));
    }
  }

  /** A block that is known to be right. A kill within this leaves bytes that were wrong or are right now, and no others. */
  async write(block: number, bytes: Buffer): Promise<void> {
    const { area, file, position } = this.image.place(block);
    if (this.writable[area]) await file.write(bytes, position);
    else if (area === 'hash' && (this.#hashBlocks.size + 1) * bytes.length <= maxKept)
      this.#hashBlocks.set(block, Buffer.from(bytes));
  }

  /** Fills the bytes from the FEC area: zeroes where it cannot be read. */
  async readParityAt(position: number, into: Buffer): Promise<void> {
    await this.image.readParity(position, into).catch((error) => {
      if (error.code !== 'EIO') throw error;
      into.fill(0);
    });
  }

  /** Writes the blocks of a set's parity that are not as stored. Returns which. */
  async writeParity(set: number, right: Buffer, stored: Buffer): Promise<number[]> {
    const { blockSize, roots, setParity } = this.image.layout;
    const wrong: number[] = [];
    for (let index = 0; index < roots; index++) {
      const from = index * blockSize;
      const bytes = right.subarray(from, from + blockSize);
      if (bytes.equals(stored.subarray(from, from + blockSize))) continue;
      if (this.writable.fec) {
        const { files, offset } = this.image;
        await files.fecFile.write(bytes, offset + set * setParity + from);
      }
      wrong.push(index);
    }
    return wrong;
  }

  async #readLenient(position: number, into: Buffer): Promise<void> {
    const { blockSize } = this.image.layout;
    try {
      await this.image.read(position, into);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
      if (into.length <= blockSize) into.fill(0);
      else
        for (let at = 0; at < into.length; at += blockSize)
          await this.#readLenient(position + at, into.subarray(at, at + blockSize));
    }
  }
}
