import { VerityError } from './error.js';
import { type HashType, superblockSize } from './superblock.js';

/** Where the hash blocks of a level are. */
export interface TreeLevel {
  /** Its first block, counted in hash blocks from the start of the tree. */
  first: number;
  /** Number of its blocks. */
  blocks: number;
}

export interface TreeShape {
  dataBlocks: number;
  /** Bytes. */
  hashBlockSize: number;
  digestSize: number;
  hashType: HashType;
}

/** The geometry of a hash tree: arithmetic alone. */
export interface TreeLayout extends Readonly<TreeShape> {
  /** Digests in a hash block: a power of two. */
  readonly hashesPerBlock: number;
  /** Bytes from a digest to the next: format 1 pads a digest to a power of two, format 0 packs them. */
  readonly stride: number;
  /** Level 0 holds the digests of data blocks, the last one is a single block. None where there is one data block. */
  readonly levels: readonly TreeLevel[];
  /** Blocks of all levels. */
  readonly hashBlocks: number;
}

/**
 * Lays out a tree. On disk the root's level comes first, level 0 last. Source: drivers/md/dm-verity-target.c:verity_ctr.
 * @throws VerityError: a hash block holds less than two digests, or its bytes cannot be counted
 */
export function treeLayout(shape: TreeShape): TreeLayout {
  const { dataBlocks, hashBlockSize, digestSize, hashType } = shape;
  const hashesPerBlock = 2 ** Math.floor(Math.log2(hashBlockSize / digestSize));
  if (hashesPerBlock < 2)
    throw new VerityError(`A hash block of ${hashBlockSize} bytes holds less than two digests of ${digestSize} bytes.`);
  const blocks: number[] = [];
  for (let left = dataBlocks; left > 1; ) {
    left = Math.ceil(left / hashesPerBlock);
    blocks.push(left);
  }
  const hashBlocks = blocks.reduce((sum, each) => sum + each, 0);
  if (!Number.isSafeInteger(dataBlocks) || !Number.isSafeInteger(hashBlocks * hashBlockSize))
    throw new VerityError('Device offset overflow.', 'EINVAL', `${dataBlocks} data blocks are too many`);
  let first = hashBlocks;
  const levels = blocks.map((count) => {
    first -= count;
    return { first, blocks: count };
  });
  const stride = hashType === 1 ? hashBlockSize / hashesPerBlock : digestSize;
  return { ...shape, hashesPerBlock, stride, levels, hashBlocks };
}

/**
 * The hash block that a tree starts with: behind the superblock, or where there is none, at the offset itself.
 * Source: as veritysetup counts; it rounds the offset of a tree without superblock down.
 */
export function treeStart(hashOffset: number, hashBlockSize: number, hasSuperblock: boolean): number {
  return hasSuperblock
    ? Math.ceil((hashOffset + superblockSize) / hashBlockSize)
    : Math.floor(hashOffset / hashBlockSize);
}

/** The level of the hash block that is so far from the start of the tree, and its index in it. */
export function hashBlockAt({ levels }: TreeLayout, place: number): { level: number; index: number } {
  const level = levels.findIndex(({ first }) => first <= place);
  return { level, index: place - levels[level]!.first };
}

/** Which of the digests differ from those that a hash block holds for them; both lie every `stride` bytes, with whatever is between them. */
export function wrongDigests({ stride, digestSize }: TreeLayout, held: Buffer, digests: Buffer): number[] {
  const wrong: number[] = [];
  for (let at = 0; at < digests.length; at += stride)
    if (held.compare(digests, at, at + digestSize, at, at + digestSize) !== 0) wrong.push(at / stride);
  return wrong;
}
