import type { FecImage } from './fec-image.js';

/** Which files may be written; what of the others is mended is kept in memory, as far as it is needed. */
export interface Writable {
  data: boolean;
  hash: boolean;
  fec: boolean;
}

/** Bytes of mended hash blocks that are kept where they cannot be written. What is below further ones stays unjudged. */
const maxKept = 256 << 20;

/** An image while it is being mended: what is read has been mended as far as that goes. */
export class MendedImage {
  readonly image: FecImage;
  readonly writable: Writable;
  readonly #hashBlocks = new Map<number, Buffer>();

  constructor(image: FecImage, writable: Writable) {
    this.image = image;
    this.writable = writable;
  }

  /** Fills the bytes from the message: zeroes for blocks that cannot be read, or that are behind the end of a file which was cut off. */
  async read(position: number, into: Buffer): Promise<void> {
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

  /** Zeroes where it cannot be read. */
  async readParity(position: number, into: Buffer): Promise<void> {
    await this.image.readParity(position, into).catch((error) => {
      if (error.code !== 'EIO') throw error;
      into.fill(0);
    });
  }

  async writeParity(position: number, bytes: Buffer): Promise<void> {
    if (this.writable.fec) await this.image.files.fecFile.write(bytes, this.image.offset + position);
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
