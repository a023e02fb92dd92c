import { checkInteger, wrongSize } from '../../base/bytes.js';
import { maxRoots, minRoots, wordSize } from './reed-solomon.js';

export interface FecLayoutFields {
  roots: number;
  /** Bytes; FEC wants data and hash blocks of the same size. */
  blockSize: number;
  dataBlocks: number;
  /** Blocks of the hash device from the tree's first one on that FEC covers: see coveredHashBlocks(). */
  hashBlocks: number;
}

/**
 * Where FEC puts things (drivers/md/dm-verity-fec.c; veritysetup). The message is the data blocks, then the hash blocks from the tree's first one on,
 * then zeroes up to a whole number of rounds of 255 - roots blocks. Block b of it is row floor(b / rounds) of set b % rounds: the words of a set lie
 * across its blocks, one for each byte of a block. The parity of a set is `roots` blocks long: that of its first word, of its second, ...
 */
export class FecLayout {
  readonly roots: number;
  readonly blockSize: number;
  readonly dataBlocks: number;
  readonly hashBlocks: number;
  /** Blocks of a set that are the message. */
  readonly setSize: number;
  /** Blocks of the message. */
  readonly blocks: number;
  /** Number of sets. */
  readonly rounds: number;

  /** @throws RangeError */
  constructor({ roots, blockSize, dataBlocks, hashBlocks }: FecLayoutFields) {
    checkInteger('roots', roots, minRoots, maxRoots);
    checkInteger('blockSize', blockSize, 1, 2 ** 31 - 1);
    checkInteger('dataBlocks', dataBlocks, 0, Number.MAX_SAFE_INTEGER);
    checkInteger('hashBlocks', hashBlocks, 0, Number.MAX_SAFE_INTEGER);
    this.roots = roots;
    this.blockSize = blockSize;
    this.dataBlocks = dataBlocks;
    this.hashBlocks = hashBlocks;
    this.setSize = wordSize - roots;
    this.blocks = dataBlocks + hashBlocks;
    this.rounds = Math.ceil(this.blocks / this.setSize);
    if (this.rounds * wordSize * blockSize > Number.MAX_SAFE_INTEGER)
      throw wrongSize('blocks', 'at most 8 PiB of data, hash blocks and parity', this.blocks);
  }

  /** Bytes. */
  get messageSize(): number {
    return this.blocks * this.blockSize;
  }
  get codewords(): number {
    return this.rounds * this.blockSize;
  }
  /** Bytes of all parity. */
  get paritySize(): number {
    return this.rounds * this.setParity;
  }
  /** Bytes of parity of a set. Set s has them at s * setParity of the FEC area. */
  get setParity(): number {
    return this.roots * this.blockSize;
  }

  setOf(block: number): number {
    return block % this.rounds;
  }
  rowOf(block: number): number {
    return Math.floor(block / this.rounds);
  }
  /** Rows of a set that lie within the message. */
  rowsOf(set: number): number {
    return Math.ceil((this.blocks - set) / this.rounds);
  }
  block(set: number, row: number): number {
    return row * this.rounds + set;
  }
}

/**
 * The blocks of the hash device that FEC covers, from the tree's first one on: to the device's end, which may be far behind the tree's (`end` is its size in
 * bytes), or to the FEC area if that is on the same device (`end` is where it starts). A device without a whole block has none of them.
 */
export function coveredHashBlocks(end: number, hashStart: number, blockSize: number): number {
  return Math.max(0, Math.floor(end / blockSize) - hashStart);
}
