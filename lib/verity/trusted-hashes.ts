import type { Tree } from './parameters.js';
import { hashBlockAt } from './tree-layout.js';

/** Bytes of verified hash blocks that are kept. */
const kept = 8 << 20;

/** A hash block that is not what it should be, or that could not be read. */
export interface BadHashBlock {
  /** How far it is from the start of the tree. */
  place: number;
  bytes: Buffer;
  /** The digest it must have. */
  wanted: Buffer;
  /** Of reading it. */
  error?: unknown;
}

export interface TrustedHashesOptions {
  tree: Tree;
  rootHash: Uint8Array;
  /** Fills a buffer from the hash block that is so far from the start of the tree. */
  read: (place: number, into: Buffer) => Promise<void>;
  /**
   * Hears of each bad block, and may mend it in place, or have it used though it is not to be trusted. Where nobody asks, a block that cannot be
   * read fails the lookup, and one that is wrong has no digests.
   */
  onBad?: (bad: BadHashBlock) => Promise<'mended' | 'used' | 'bad'>;
}

/** The digests that blocks must have, from hash blocks each of which has been verified, by those above it, up to the root hash. */
export class TrustedHashes {
  readonly #tree: Tree;
  readonly #rootHash: Buffer;
  readonly #read: TrustedHashesOptions['read'];
  readonly #onBad: TrustedHashesOptions['onBad'];
  /** Verified hash blocks, the last used one last. */
  readonly #blocks = new Map<number, Buffer>();
  /** Those that are being read: who comes second waits for the first. */
  readonly #loading = new Map<number, Promise<Buffer | undefined>>();

  constructor({ tree, rootHash, read, onBad }: TrustedHashesOptions) {
    this.#tree = tree;
    this.#rootHash = Buffer.from(rootHash);
    this.#read = read;
    this.#onBad = onBad;
  }

  /** Blocks that are kept. */
  get blocks(): number {
    return this.#blocks.size;
  }

  /** Bytes of the blocks that are kept. */
  get size(): number {
    return this.#blocks.size * this.#tree.hashBlockSize;
  }

  /**
   * The digest of a block of a level, or of the data, which is level -1: none, where a hash block above it is not what it should be.
   * @throws what reading does
   */
  async digest(level: number, index: number): Promise<Buffer | undefined> {
    const { digestSize } = this.#tree.layout;
    return (await this.digests(level, index, 1))?.subarray(0, digestSize);
  }

  /** The digest of a block as FEC counts them: the data blocks, and behind them the hash blocks. @throws what reading does */
  wanted(block: number): Promise<Buffer | undefined> {
    const { dataBlocks, layout } = this.#tree;
    if (block < dataBlocks) return this.digest(-1, block);
    const { level, index } = hashBlockAt(layout, block - dataBlocks);
    return this.digest(level, index);
  }

  /** The digests of blocks that have theirs in one hash block, with the bytes between them. @throws what reading does */
  async digests(level: number, first: number, count: number): Promise<Buffer | undefined> {
    const { levels, hashesPerBlock, stride } = this.#tree.layout;
    if (level === levels.length - 1) return this.#rootHash;
    const block = await this.#block(level + 1, Math.floor(first / hashesPerBlock));
    const at = (first % hashesPerBlock) * stride;
    return block?.subarray(at, at + count * stride);
  }

  /** Nothing is kept any more. */
  clear(): void {
    this.#blocks.clear();
  }

  async #block(level: number, index: number): Promise<Buffer | undefined> {
    const place = this.#tree.layout.levels[level]!.first + index;
    const known = this.#blocks.get(place);
    if (known) {
      this.#keep(place, known);
      return known;
    }
    const loading = this.#loading.get(place) ?? this.#load(level, index, place);
    this.#loading.set(place, loading);
    try {
      return await loading;
    } finally {
      this.#loading.delete(place);
    }
  }

  async #load(level: number, index: number, place: number): Promise<Buffer | undefined> {
    const { layout, hashBlockSize, hasher } = this.#tree;
    const wanted = await this.digest(level, index);
    if (!wanted) return undefined;
    const bytes = Buffer.allocUnsafeSlow(hashBlockSize);
    const bad: BadHashBlock = { place, bytes, wanted };
    try {
      await this.#read(place, bytes);
      const digest = Buffer.alloc(layout.digestSize);
      await hasher.hash(bytes, digest, hashBlockSize);
      if (digest.equals(wanted)) {
        this.#keep(place, bytes);
        return bytes;
      }
    } catch (error) {
      if (!this.#onBad) throw error;
      bad.error = error;
    }
    const answer = (await this.#onBad?.(bad)) ?? 'bad';
    if (answer === 'mended') this.#keep(place, bytes);
    return answer === 'bad' ? undefined : bytes;
  }

  #keep(place: number, block: Buffer): void {
    this.#blocks.delete(place);
    this.#blocks.set(place, block);
    if (this.size <= kept) return;
    for (const [oldest] of this.#blocks) {
      this.#blocks.delete(oldest);
      break;
    }
  }
}
