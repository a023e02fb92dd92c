import type { BlockFile } from './block-file.js';
import { VerityError } from './error.js';
import type { VerityParameters } from './parameters.js';
import { treeStart } from './tree-layout.js';

/** What the options say of the hash area, before the tree is laid out. */
export interface HashArea extends Pick<VerityParameters, 'hashBlockSize'> {
  hashOffset: number;
  superblock: boolean;
}

/**
 * The first byte behind the data in its file. A partial block at the end of the file has no digest, but it is the user's:
 * only a number of blocks that the caller gave says that the data ends before it.
 */
export function dataEnd(
  { size }: BlockFile,
  { dataBlocks, dataBlockSize }: Pick<VerityParameters, 'dataBlocks' | 'dataBlockSize'>,
  isGiven: boolean,
): number {
  const end = dataBlocks * dataBlockSize;
  return isGiven ? end : Math.max(size, end);
}

/** Bytes at the end of the data file that fill no block; none where the rest of it is another area of the image. */
export function tailOf(
  dataFile: BlockFile,
  { dataBlocks, dataBlockSize }: Pick<VerityParameters, 'dataBlocks' | 'dataBlockSize'>,
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
export function checkHashArea(dataFile: BlockFile, hashFile: BlockFile, area: HashArea, end: number): void {
  if (hashFile.isNew || !dataFile.isSame(hashFile)) return;
  const { hashOffset, hashBlockSize, superblock } = area;
  const from = superblock ? hashOffset : treeStart(hashOffset, hashBlockSize, false) * hashBlockSize;
  const used = Math.max(end, Math.min(dataFile.size, hashOffset));
  if (from < used) throw overlap('Data area overlaps with hash area.', dataFile, used, 'hash area', from);
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
