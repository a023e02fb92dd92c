import { tellCorruption } from '../base/observe.js';
import { Bitmap } from './bitmap.js';
import type { Tree } from './parameters.js';
import type { WalkJudge } from './walk.js';

/** A block that is not what its digest says. */
export interface BadBlock {
  area: 'data' | 'hash';
  /** Of a hash block: 0 is the level above the data. Of a data block -1. */
  level: number;
  /** Number of the block in its file, in its area's blocks. */
  block: number;
  /** Its first byte in the file; of a spare area, that of the spare. */
  position: number;
  path: string;
  /** 'digest': it has another; 'spare': it has the right one, but there is something where nothing should be; 'unreadable': it cannot be read, or its file ends before it does. */
  reason: 'digest' | 'spare' | 'unreadable';
}

/** What has been found, with memory for some bad blocks, and a bit for each hash block that is not to be trusted. */
export class Verdict implements WalkJudge {
  readonly #tree: Tree;
  readonly #dataPath: string;
  readonly #hashPath: string;
  readonly #maxErrors: number;
  readonly #listed: BadBlock[] = [];
  readonly #untrusted: Bitmap[];
  #badHashBlocks = 0;
  #badDataBlocks = 0;
  #unverifiableHashBlocks = 0;
  #unverifiableDataBlocks = 0;

  constructor(tree: Tree, dataPath: string, hashPath: string, maxErrors: number) {
    this.#tree = tree;
    this.#dataPath = dataPath;
    this.#hashPath = hashPath;
    this.#maxErrors = maxErrors;
    this.#untrusted = tree.layout.levels.map(({ blocks }) => new Bitmap(blocks));
  }

  isTrusted(level: number, index: number): boolean {
    return level < 0 ? this.#badDataBlocks === 0 : !this.#untrusted[level]!.has(index);
  }

  /** A block of a level, or of the data: level -1. A spare area begins at `offset` in it. */
  bad(level: number, index: number, reason: BadBlock['reason'], offset = 0): void {
    const isData = level < 0;
    if (isData) this.#badDataBlocks++;
    else this.#badHashBlocks++;
    // What a block with something in its spare area says is still what its digest covers.
    if (!isData && reason !== 'spare') this.#untrusted[level]!.add(index);
    const { start, layout, hashBlockSize, dataBlockSize } = this.#tree;
    const block = isData ? index : start + layout.levels[level]!.first + index;
    const area = isData ? 'data' : 'hash';
    const path = isData ? this.#dataPath : this.#hashPath;
    const kind = reason === 'digest' ? 'corrupted' : reason;
    tellCorruption({ kind, area, level, block, device: path, outcome: 'reported' });
    if (this.#listed.length >= this.#maxErrors) return;
    const position = block * (isData ? dataBlockSize : hashBlockSize) + offset;
    this.#listed.push({ area, level, block, position, path, reason });
  }

  unjudged(level: number, first: number, count: number): void {
    if (level < 0) {
      this.#unverifiableDataBlocks += count;
      return;
    }
    this.#unverifiableHashBlocks += count;
    for (let index = first; index < first + count; index++) this.#untrusted[level]!.add(index);
  }

  /** Nothing below this level has been looked at. */
  nothingBelow(level: number): void {
    const { layout, dataBlocks } = this.#tree;
    this.#unverifiableHashBlocks += layout.hashBlocks - (level < 0 ? 0 : 1);
    this.#unverifiableDataBlocks += level < 0 ? 0 : dataBlocks;
  }

  result() {
    const [badHashBlocks, badDataBlocks] = [this.#badHashBlocks, this.#badDataBlocks];
    return {
      good: badHashBlocks + badDataBlocks === 0,
      bad: this.#listed,
      badHashBlocks,
      badDataBlocks,
      unverifiableHashBlocks: this.#unverifiableHashBlocks,
      unverifiableDataBlocks: this.#unverifiableDataBlocks,
    };
  }
}
