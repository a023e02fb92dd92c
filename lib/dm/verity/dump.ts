import { BlockFile } from './block-file.js';
import type { BlockHasherOptions } from './block-hasher.js';
import { VerityError } from './error.js';
import { checkHashOffset, openTree, type VerityParameters } from './parameters.js';
import { noSignature, parseSuperblock, type Superblock, superblockSize } from './superblock.js';

export interface DumpOptions extends Pick<BlockHasherOptions, 'provider' | 'engine'> {
  /** Where the hash area begins, in bytes: a multiple of 512. Default 0. */
  hashOffset?: number;
}

export interface VerityHeader extends VerityParameters {
  uuid: string;
  hashBlocks: number;
  /** Bytes from the start of the hash file to the end of the tree. */
  hashEnd: number;
}

/** What the superblock of a hash area says. @throws VerityError in veritysetup's words */
export async function dumpVerity(hashPath: string, options: DumpOptions = {}): Promise<VerityHeader> {
  const { hashOffset = 0, ...run } = options;
  const file = await BlockFile.open(hashPath);
  try {
    const superblock = await readSuperblock(file, hashOffset);
    const { layout, start, hasher } = orInvalid(file, () => openTree(superblock, hashOffset, true, run));
    hasher.close();
    const { hashBlocks } = layout;
    return { ...superblock, hashBlocks, hashEnd: (start + hashBlocks) * superblock.hashBlockSize };
  } finally {
    await file.close();
  }
}

/** @throws VerityError in veritysetup's words */
export async function readSuperblock(file: BlockFile, hashOffset: number): Promise<Superblock> {
  orInvalid(file, () => checkHashOffset(hashOffset));
  const bytes = Buffer.alloc(superblockSize);
  if (hashOffset + superblockSize <= file.size) await file.read(bytes, hashOffset);
  return orInvalid(file, () => parseSuperblock(bytes));
}

/** Says that it is no verity device, after the reason, where there is more to say than that. */
function orInvalid<T>(file: BlockFile, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof VerityError)) throw cause;
    const reason = cause.message === noSignature ? '' : `${cause.message}\n`;
    throw new VerityError(`${reason}Device ${file.path} is not a valid VERITY device.`, 'EINVAL', undefined, { cause });
  }
}
