import { Bitmap } from '../bitmap.js';
import type { BlockFile } from '../block-file.js';
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
export class MendedImage implements SetSource {
  readonly image: FecImage;
  readonly writable: Writable;
  /** Blocks of the message, and of the parity, that cannot be read whole; a file that was cut off has some. */
  readonly unread: Bitmap;
  readonly unreadParity: Bitmap;
  readonly #hashBlocks = new Map<number, Buffer>();

  constructor(image: FecImage, writable: Writable) {
    this.image = image;
    this.unread = new Bitmap(image.layout.blocks);
    this.unreadParity = new Bitmap(image.layout.rounds * image.layout.roots);
    this.writable = writable;
  }

  async readBlock(block: number, into: Buffer): Promise<boolean> {
    await this.readMessage(block * this.image.layout.blockSize, into);
    return !this.unread.has(block);
  }

  async readParity(set: number, into: Buffer): Promise<WordRange[]> {
    const { blockSize, roots, setParity } = this.image.layout;
    await this.readParityAt(set * setParity, into);
    if (this.unreadParity.size === 0) return [{ from: 0, to: blockSize }];
    const words: WordRange[] = [];
    for (let word = 0; word < blockSize; word++) {
      const [first, last] = [word * roots, (word + 1) * roots - 1];
      const isThere = (byte: number) => byte % blockSize < this.#present(set, Math.floor(byte / blockSize));
      if (!isThere(first) || !isThere(last)) continue;
      const range = words.at(-1);
      if (range?.to === word) range.to++;
      else words.push({ from: word, to: word + 1 });
    }
    return words;
  }

  /** Fills the bytes from the message, with zeroes where it cannot be read or its file was cut off. */
  async readMessage(position: number, into: Buffer): Promise<void> {
    const { blockSize } = this.image.layout;
    await readLenient(
      into,
      blockSize,
      (bytes, at) => this.image.read(position + at, bytes),
      async (bytes, at) => {
        const block = (position + at) / blockSize;
        const place = this.image.place(block);
        const isKnown = this.#hashBlocks.has(block);
        if (!isKnown) this.unread.add(block);
        await readStart(place.file, bytes, place.position);
      },
    );
    if (this.#hashBlocks.size === 0) return;
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
    else return;
    this.unread.delete(block);
  }

  /** Fills the bytes from the FEC area, from the start of a set's parity on, with zeroes where it cannot be read. */
  async readParityAt(position: number, into: Buffer): Promise<void> {
    const { files, offset, layout } = this.image;
    const { blockSize } = layout;
    await readLenient(
      into,
      blockSize,
      (bytes, at) => this.image.readParity(position + at, bytes),
      async (bytes, at) => {
        this.unreadParity.add((position + at) / blockSize);
        await readStart(files.fecFile, bytes, offset + position + at);
      },
    );
  }

  /** Writes the blocks of a set's parity that are not as stored. Returns which, and in how many bytes they differ. */
  async writeParity(set: number, right: Buffer, stored: Buffer): Promise<{ index: number; changed: number }[]> {
    const { blockSize, roots, setParity } = this.image.layout;
    const { files, offset } = this.image;
    const wrong: { index: number; changed: number }[] = [];
    for (let index = 0; index < roots; index++) {
      const [bytes, there] = [right, stored].map((all) => all.subarray(index * blockSize, (index + 1) * blockSize));
      const isUnread = this.unreadParity.has(set * roots + index);
      if (bytes!.equals(there!) && !isUnread) continue;
      const position = offset + set * setParity + index * blockSize;
      if (this.writable.fec) await files.fecFile.write(bytes!, position);
      wrong.push({ index, changed: bytes!.reduce((sum, byte, at) => sum + (byte === there![at] ? 0 : 1), 0) });
    }
    return wrong;
  }

  /** Whether what there is of a set's parity is as it should be. */
  hasParity(set: number, right: Buffer, stored: Buffer): boolean {
    const { blockSize, roots } = this.image.layout;
    for (let index = 0; index < roots; index++) {
      const from = index * blockSize;
      const to = from + this.#present(set, index);
      if (right.compare(stored, from, to, from, to) !== 0) return false;
    }
    return true;
  }

  /** Bytes that there are of a block of a set's parity: a file may end within it. */
  #present(set: number, index: number): number {
    const { blockSize, roots, setParity } = this.image.layout;
    if (!this.unreadParity.has(set * roots + index)) return blockSize;
    const { files, offset } = this.image;
    const there = files.fecFile.size - offset - set * setParity - index * blockSize;
    return there < blockSize ? Math.max(0, there) : 0;
  }
}

/**
 * Reads all at once, and where that is an error, block by block: `lost` gets each block that cannot be read, filled with zeroes, and may put into it what is there.
 * @throws what is no EIO
 */
async function readLenient(
  into: Buffer,
  blockSize: number,
  read: (bytes: Buffer, at: number) => Promise<void>,
  lost: (bytes: Buffer, at: number) => Promise<void>,
): Promise<void> {
  if (await canRead(() => read(into, 0))) return;
  for (let at = 0; at < into.length; at += blockSize) {
    const bytes = into.subarray(at, at + blockSize);
    if (into.length > blockSize && (await canRead(() => read(bytes, at)))) continue;
    bytes.fill(0);
    await lost(bytes, at);
  }
}

/** Reads what there is of a block that its file ends within. */
async function readStart(file: BlockFile, bytes: Buffer, position: number): Promise<void> {
  const there = bytes.subarray(0, Math.max(0, file.size - position));
  if (there.length > 0 && there.length < bytes.length && !(await canRead(() => file.read(there, position))))
    there.fill(0);
}

async function canRead(read: () => Promise<void>): Promise<boolean> {
  return read().then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EIO') throw error;
      return false;
    },
  );
}
