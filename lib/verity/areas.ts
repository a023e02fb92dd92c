import type { BlockFile } from './block-file.js';
import { VerityError } from './error.js';
import type { VerityParameters } from './parameters.js';
import { parseSuperblock, superblockSize } from './superblock.js';
import { treeStart } from './tree-layout.js';

/** What the options say of the hash area, before the tree is laid out. */
export interface HashArea extends Pick<VerityParameters, 'hashBlockSize'> {
  hashOffset: number;
  superblock: boolean;
}

/** How much data there is. */
type DataArea = Pick<VerityParameters, 'dataBlocks' | 'dataBlockSize'>;

/**
 * The first byte behind the data in its file. A partial block at the end of the file has no digest, but it is the user's. Only whole blocks that
 * are left out, by a number of blocks that the caller gave, are room for something else.
 */
export function dataEnd({ size }: BlockFile, { dataBlocks, dataBlockSize }: DataArea): number {
  const end = dataBlocks * dataBlockSize;
  return size - end < dataBlockSize ? Math.max(size, end) : end;
}

/** Bytes at the end of the data file that fill no block; none where the rest of it is another area of the image. */
export function tailOf(
  dataFile: BlockFile,
  { dataBlocks, dataBlockSize }: DataArea,
  ...others: (BlockFile | undefined)[]
): number {
  const tail = dataFile.size - dataBlocks * dataBlockSize;
  return tail > 0 && tail < dataBlockSize && !others.some((file) => file?.isSame(dataFile)) ? tail : 0;
}

/**
 * Refuses a hash area that would overwrite data, before anything is written. Without a superblock the tree begins at the
 * offset rounded down to a hash block: there it must not overwrite what the file holds before the offset, either.
 * @throws VerityError in veritysetup's words
 */
export async function checkHashArea(
  dataFile: BlockFile,
  hashFile: BlockFile,
  area: HashArea,
  data: DataArea,
): Promise<void> {
  if (hashFile.isNew || !dataFile.isSame(hashFile)) return;
  const { hashOffset, hashBlockSize, superblock } = area;
  const from = superblock ? hashOffset : treeStart(hashOffset, hashBlockSize, false) * hashBlockSize;
  const used = Math.max(dataEnd(dataFile, data), Math.min(dataFile.size, hashOffset));
  if (from >= used) return;
  // A hash area that is smaller than a data block is no tail of the user's: it may be written again.
  const isBehind = hashOffset >= data.dataBlocks * data.dataBlockSize;
  if (superblock && isBehind && (await hasSuperblock(hashFile, hashOffset))) return;
  throw overlap('Data area overlaps with hash area.', dataFile, used, 'hash area', from);
}

async function hasSuperblock(file: BlockFile, position: number): Promise<boolean> {
  const bytes = Buffer.alloc(superblockSize);
  if (position + bytes.length > file.size) return false;
  await file.read(bytes, position);
  try {
    parseSuperblock(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Two areas of one file have bytes in common. */
export function overlap(
  words: string,
  { path }: Pick<BlockFile, 'path'>,
  end: number,
  area: string,
  from: number,
): VerityError {
  return new VerityError(words, 'EINVAL', `${path} is in use up to byte ${end}, the ${area} would begin at ${from}`);
}
