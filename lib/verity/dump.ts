import { BlockFile } from './block-file.js';
import type { BlockHasherOptions } from './block-hasher.js';
import { orInvalid, readSuperblock } from './open-image.js';
import { openTree, type VerityParameters } from './parameters.js';

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
