import type { BlockFile } from './block-file.js';
import type { Tree } from './parameters.js';

/** Bytes of a level that are hashed and written at once. */
const bufferSize = 256 * 1024;

/** Bytes at a place of the message that parity is computed of: the data blocks, and behind them the hash blocks. */
export type OnBlocks = (position: number, bytes: Uint8Array) => Promise<void> | void;

/**
 * Builds a hash tree from the digests of its data blocks, which come in order: a buffer for each level, whatever the size
 * of the image. A full buffer is written, and its blocks' digests go to the level above.
 */
export class TreeWriter {
  readonly #tree: Tree;
  readonly #file: BlockFile;
  readonly #onBlocks: OnBlocks | undefined;
  readonly #levels: Level[];
  #root: Buffer | undefined;

  constructor(tree: Tree, file: BlockFile, onBlocks?: OnBlocks) {
    this.#tree = tree;
    this.#file = file;
    this.#onBlocks = onBlocks;
    const { layout, hashBlockSize } = tree;
    this.#levels = layout.levels.map(({ blocks }) => {
      const size = Math.min(blocks, Math.max(1, bufferSize / hashBlockSize));
      return {
        buffer: Buffer.alloc(size * hashBlockSize),
        digests: Buffer.alloc(size * layout.stride),
        at: 0,
        block: 0,
      };
    });
  }

  /** Adds the digests of the next blocks; `stride` bytes each, zero between them. They are in one hash block, or in whole ones. */
  add(digests: Uint8Array): Promise<void> {
    return this.#add(0, digests);
  }

  /** Writes what is left of all levels. Returns the root hash. */
  async finish(): Promise<Buffer> {
    for (let index = 0; index < this.#levels.length; index++) await this.#flush(index);
    return this.#root!;
  }

  async #add(index: number, digests: Uint8Array): Promise<void> {
    const { hashBlockSize, layout } = this.#tree;
    const level = this.#levels[index];
    if (!level) {
      // Of the one block at the top.
      this.#root = Buffer.from(digests.subarray(0, layout.digestSize));
      return;
    }
    const used = layout.hashesPerBlock * layout.stride;
    for (let from = 0; from < digests.length; ) {
      const inBlock = level.at % hashBlockSize;
      const size = Math.min(used - inBlock, digests.length - from);
      level.buffer.set(digests.subarray(from, from + size), level.at);
      from += size;
      // Behind the last digest of a block is its spare area.
      level.at += inBlock + size === used ? hashBlockSize - inBlock : size;
      if (level.at === level.buffer.length) await this.#flush(index);
    }
  }

  async #flush(index: number): Promise<void> {
    const { hashBlockSize, layout, hasher, start, dataBlocks, dataBlockSize } = this.#tree;
    const level = this.#levels[index]!;
    const count = Math.ceil(level.at / hashBlockSize);
    if (count === 0) return;
    const bytes = level.buffer.subarray(0, count * hashBlockSize);
    const digests = level.digests.subarray(0, count * layout.stride);
    const block = layout.levels[index]!.first + level.block;
    await Promise.all([
      this.#file.write(bytes, (start + block) * hashBlockSize),
      hasher.hash(bytes, digests, hashBlockSize, layout.stride),
      this.#onBlocks?.(dataBlocks * dataBlockSize + block * hashBlockSize, bytes),
    ]);
    level.buffer.fill(0);
    level.at = 0;
    level.block += count;
    await this.#add(index + 1, digests);
  }
}

interface Level {
  buffer: Buffer;
  /** Room for the digests of the buffer's blocks. */
  digests: Buffer;
  /** Bytes filled. */
  at: number;
  /** Index in the level of the buffer's first block. */
  block: number;
}
