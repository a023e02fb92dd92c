import { timingSafeEqual } from 'node:crypto';
import { checkAborted } from '../base/abort.js';
import { type BlockRun, eachRun, type OnProgress } from './block-runs.js';
import type { Tree } from './parameters.js';
import { wrongDigests } from './tree-layout.js';

/** Where a walk has its bytes from. Level -1 is the data. */
export interface WalkSource {
  /** Fills the bytes from consecutive blocks of a level. */
  read(level: number, first: number, into: Buffer): Promise<void>;
  /** Whether so many bytes from a block on are zeroes that need not be read. */
  isHole(level: number, first: number, length: number): boolean;
  /** Takes what has been read, and is not a hole, once each. */
  take?(level: number, first: number, bytes: Buffer): Promise<void>;
}

/** Hears of a walk, a level at a time from the root hash down. */
export interface WalkJudge {
  /** Whether what a hash block says of the blocks below it counts, once it has been judged. Of the block at the top it is asked even where that is data. */
  isTrusted(level: number, index: number): boolean;
  /** A block has another digest, or the right one with something where nothing should be: at `offset` in it. */
  bad(level: number, index: number, reason: 'digest' | 'spare', offset?: number): void;
  /** Blocks have no digest, as their hash block is not to be trusted. */
  unjudged(level: number, first: number, count: number): void;
  /** All blocks of a level have been judged. It may mend them, and then trust them. */
  levelDone?(level: number): Promise<void>;
}

/** Judges all blocks of an image: those of the tree, a level at a time, and its data. */
export class TreeWalk {
  readonly #tree: Tree;
  readonly #rootHash: Uint8Array;
  readonly #source: WalkSource;
  readonly #judge: WalkJudge;
  readonly #options: { onProgress?: OnProgress | undefined; signal?: AbortSignal | undefined };
  readonly #top: number;
  #lastSpare = '';

  constructor(
    tree: Tree,
    rootHash: Uint8Array,
    source: WalkSource,
    judge: WalkJudge,
    options: { onProgress?: OnProgress | undefined; signal?: AbortSignal | undefined },
  ) {
    this.#tree = tree;
    this.#rootHash = rootHash;
    this.#source = source;
    this.#judge = judge;
    this.#options = options;
    this.#top = tree.layout.levels.length - 1;
  }

  /** Goes down to the data: each level is judged by the one above it. Resolves to false where the block at the top does not have the root hash: then that is all it looks at. */
  async run(): Promise<boolean> {
    for (let level = this.#top; level >= -1; level--) {
      await this.#judgeLevel(level);
      await this.#judge.levelDone?.(level);
      if (level === this.#top && !this.#judge.isTrusted(level, 0)) return false;
    }
    return true;
  }

  async #judgeLevel(level: number): Promise<void> {
    const { layout, hashBlockSize } = this.#tree;
    const { stride, hashesPerBlock: group } = layout;
    const { size, blocks } = this.#place(level);
    const contiguous = stride * group === hashBlockSize;
    const parents = new Map<BlockRun, Buffer>();
    await eachRun(
      { blocks, blockSize: size, stride, group, contiguous },
      async (run) => {
        checkAborted(this.#options.signal);
        const hashed = this.#hash(level, run);
        if (level === this.#top) return hashed;
        const from = Math.floor(run.first / group);
        const to = Math.floor((run.first + run.count - 1) / group);
        const above = Buffer.allocUnsafe((to - from + 1) * hashBlockSize);
        parents.set(run, above);
        await Promise.all([hashed, this.#source.read(level + 1, from, above)]);
      },
      (run) => {
        if (level === this.#top) this.#compareTop(run);
        else this.#compare(level, run, parents.get(run)!);
        parents.delete(run);
        if (level < 0) this.#options.onProgress?.((run.first + run.count) * size, blocks * size);
      },
    );
  }

  #compareTop({ digests }: BlockRun): void {
    if (!timingSafeEqual(digests.subarray(0, this.#tree.layout.digestSize), this.#rootHash))
      this.#judge.bad(this.#top, 0, 'digest');
  }

  /** A run's digests are what the hash blocks above it have to hold, the zeroes between them included. */
  #compare(level: number, run: BlockRun, above: Buffer): void {
    const { layout, hashBlockSize } = this.#tree;
    const { stride, hashesPerBlock: group } = layout;
    for (let first = run.first; first < run.first + run.count; ) {
      const parent = Math.floor(first / group);
      const count = Math.min((parent + 1) * group, run.first + run.count) - first;
      const at = (parent - Math.floor(run.first / group)) * hashBlockSize;
      const block = above.subarray(at, at + hashBlockSize);
      const digests = run.digests.subarray((first - run.first) * stride, (first - run.first + count) * stride);
      if (!this.#judge.isTrusted(level + 1, parent)) this.#judge.unjudged(level, first, count);
      else this.#compareBlock(level, first, count, digests, block);
      first += count;
    }
  }

  #compareBlock(level: number, first: number, count: number, digests: Buffer, block: Buffer): void {
    const { layout } = this.#tree;
    const { stride, digestSize, hashesPerBlock: group } = layout;
    const parent = Math.floor(first / group);
    const inBlock = first % group;
    const held = block.subarray(inBlock * stride, (inBlock + count) * stride);
    let spare = -1;
    if (!held.equals(digests)) {
      for (const index of wrongDigests(layout, held, digests)) this.#judge.bad(level, first + index, 'digest');
      for (let at = 0; at < held.length && spare < 0; at += stride)
        spare = firstOther(held, at + digestSize, at + stride);
      if (spare >= 0) spare += inBlock * stride;
    }
    // What is behind the last digest of a block is looked at with that.
    const isLast = inBlock + count === group || first + count === this.#place(level).blocks;
    if (isLast && spare < 0) spare = firstOther(block, (inBlock + count) * stride, block.length);
    // Once for a block, of which several runs may see a part.
    const key = `${level} ${parent}`;
    if (spare < 0 || key === this.#lastSpare) return;
    this.#lastSpare = key;
    this.#judge.bad(level + 1, parent, 'spare', spare);
  }

  async #hash(level: number, { first, bytes, digests }: BlockRun): Promise<void> {
    const { layout, hasher } = this.#tree;
    const { size } = this.#place(level);
    if (this.#source.isHole(level, first, bytes.length)) return hasher.hashZeroes(digests, size, layout.stride);
    await this.#source.read(level, first, bytes);
    await Promise.all([hasher.hash(bytes, digests, size, layout.stride), this.#source.take?.(level, first, bytes)]);
  }

  #place(level: number): { size: number; blocks: number } {
    const { layout, dataBlocks, dataBlockSize, hashBlockSize } = this.#tree;
    return level < 0
      ? { size: dataBlockSize, blocks: dataBlocks }
      : { size: hashBlockSize, blocks: layout.levels[level]!.blocks };
  }
}

/** Where the first byte is that is not zero, or -1. */
function firstOther(bytes: Buffer, from: number, to: number): number {
  const found = bytes.subarray(from, to).findIndex((byte) => byte !== 0);
  return found < 0 ? -1 : from + found;
}
