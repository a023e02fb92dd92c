import { checkAborted } from '../base/abort.js';
import type { BlockFile } from './block-file.js';
import { type BlockRun, eachRun } from './block-runs.js';
import type { OnProgress } from './on-progress.js';
import type { Tree } from './parameters.js';
import type { Verdict } from './verdict.js';

/** Looks at the blocks of a tree, a level at a time, and at its data, which is level -1. */
export class TreeReader {
  readonly #tree: Tree;
  readonly #dataFile: BlockFile;
  readonly #hashFile: BlockFile;
  readonly #verdict: Verdict;
  readonly #options: { onProgress?: OnProgress; signal?: AbortSignal };

  constructor(
    tree: Tree,
    dataFile: BlockFile,
    hashFile: BlockFile,
    verdict: Verdict,
    options: { onProgress?: OnProgress; signal?: AbortSignal },
  ) {
    this.#tree = tree;
    this.#dataFile = dataFile;
    this.#hashFile = hashFile;
    this.#verdict = verdict;
    this.#options = options;
  }

  /** The digest of the block at the top: of the data block, where there is only one. */
  async topDigest(): Promise<Buffer> {
    const { layout, hasher } = this.#tree;
    const level = layout.levels.length - 1;
    const { size } = this.#place(level);
    const bytes = Buffer.allocUnsafe(size);
    const digest = Buffer.alloc(layout.digestSize);
    await this.#read(level, 0, bytes);
    await hasher.hash(bytes, digest, size);
    return digest;
  }

  /** Judges the blocks of a level by the level above it, which has been judged. */
  async verifyLevel(level: number): Promise<void> {
    const { layout, hashBlockSize } = this.#tree;
    const { stride, hashesPerBlock: group } = layout;
    const { size, blocks } = this.#place(level);
    const contiguous = stride * group === hashBlockSize;
    const parents = new Map<BlockRun, Buffer>();
    await eachRun(
      { blocks, blockSize: size, stride, group, contiguous },
      async (run) => {
        checkAborted(this.#options.signal);
        const from = Math.floor(run.first / group);
        const to = Math.floor((run.first + run.count - 1) / group);
        const above = Buffer.allocUnsafe((to - from + 1) * hashBlockSize);
        parents.set(run, above);
        await Promise.all([this.#hash(level, run), this.#readHash(level + 1, from, above)]);
      },
      (run) => {
        this.#compare(level, run, parents.get(run)!);
        parents.delete(run);
        if (level < 0) this.#options.onProgress?.((run.first + run.count) * size, blocks * size);
      },
    );
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
      if (!this.#verdict.isTrusted(level + 1, parent)) this.#verdict.unverifiable(level, first, count);
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
      for (let index = 0; index < count; index++) {
        const at = index * stride;
        if (held.compare(digests, at, at + digestSize, at, at + digestSize))
          this.#verdict.bad(level, first + index, 'digest');
        else if (spare < 0) spare = firstOther(held, at + digestSize, at + stride);
      }
      if (spare >= 0) spare += inBlock * stride;
    }
    // What is behind the last digest of a block is looked at with that.
    const isLast = inBlock + count === group || first + count === this.#place(level).blocks;
    if (isLast && spare < 0) spare = firstOther(block, (inBlock + count) * stride, block.length);
    if (spare >= 0) this.#verdict.bad(level + 1, parent, 'spare', spare);
  }

  async #hash(level: number, { first, bytes, digests }: BlockRun): Promise<void> {
    const { layout, hasher } = this.#tree;
    const { size } = this.#place(level);
    if (level < 0 && this.#dataFile.isHole(first * size, bytes.length))
      return hasher.hashZeroes(digests, size, layout.stride);
    await this.#read(level, first, bytes);
    await hasher.hash(bytes, digests, size, layout.stride);
  }

  async #read(level: number, first: number, bytes: Buffer): Promise<void> {
    if (level < 0) await this.#dataFile.read(bytes, first * this.#tree.dataBlockSize);
    else await this.#readHash(level, first, bytes);
  }

  async #readHash(level: number, first: number, bytes: Buffer): Promise<void> {
    const { start, layout, hashBlockSize } = this.#tree;
    await this.#hashFile.read(bytes, (start + layout.levels[level]!.first + first) * hashBlockSize);
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
