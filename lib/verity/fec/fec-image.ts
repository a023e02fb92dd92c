import { overlap } from '../areas.js';
import type { BlockFile } from '../block-file.js';
import { VerityError } from '../error.js';
import { defaultRoots, type Tree } from '../parameters.js';
import { coveredHashBlocks, FecLayout } from './fec-layout.js';
import { maxRoots, minRoots } from './reed-solomon.js';

/** Where the parity is, and how much of it there is for each word. */
export interface FecArea {
  /** Bytes from the start of the FEC file. Default 0. */
  offset?: number;
  /** Bytes of parity for each word of 255, from 2 to 24. Default 2. */
  roots?: number;
}

/** The files of an image with FEC; some of them may be the same. */
export interface FecFiles {
  dataFile: BlockFile;
  hashFile: BlockFile;
  fecFile: BlockFile;
}

/** The order in which veritysetup complains. @throws VerityError in its words */
export function checkFecArea(
  { offset = 0, roots = defaultRoots }: FecArea,
  { dataBlockSize, hashBlockSize }: Pick<Tree, 'dataBlockSize' | 'hashBlockSize'>,
): Required<FecArea> {
  if (!Number.isSafeInteger(offset) || offset < 0 || offset % 512)
    throw new VerityError('Unsupported VERITY FEC offset.');
  if (dataBlockSize !== hashBlockSize) throw new VerityError('Block sizes must match for FEC.');
  if (!Number.isInteger(roots) || roots < minRoots || roots > maxRoots)
    throw new VerityError('Invalid number of parity bytes.', 'EINVAL', `--fec-roots: ${minRoots} to ${maxRoots}`);
  return { offset, roots };
}

/**
 * What FEC covers of an image. `hashSize` is the size of the hash file in bytes: FEC covers all of it behind the tree's start, unless the FEC area is in
 * it too. `dataEnd` is the first byte behind the data. @throws VerityError in veritysetup's words: areas overlap
 */
export function fecLayout(
  { dataBlocks, dataBlockSize, hashBlockSize, start, layout }: Tree,
  { offset, roots }: Required<FecArea>,
  { dataFile, hashFile, fecFile }: FecFiles,
  hashSize: number,
  dataEnd = dataBlocks * dataBlockSize,
): FecLayout {
  const inHashFile = hashFile.isSame(fecFile);
  const hashEnd = (start + layout.hashBlocks) * hashBlockSize;
  if (inHashFile && hashEnd > offset)
    throw overlap('Hash area overlaps with FEC area.', hashFile, hashEnd, 'FEC area', offset);
  if (dataFile.isSame(fecFile) && dataEnd > offset)
    throw overlap('Data area overlaps with FEC area.', dataFile, dataEnd, 'FEC area', offset);
  const hashBlocks = coveredHashBlocks(inHashFile ? offset : hashSize, start, hashBlockSize);
  return new FecLayout({ roots, blockSize: dataBlockSize, dataBlocks, hashBlocks });
}

/** Reads the message that FEC covers, wherever it lies, and the parity. */
export class FecImage {
  readonly layout: FecLayout;
  readonly tree: Tree;
  readonly files: FecFiles;
  readonly offset: number;

  constructor(tree: Tree, layout: FecLayout, files: FecFiles, offset: number) {
    this.tree = tree;
    this.layout = layout;
    this.files = files;
    this.offset = offset;
  }

  /** Which block of the message a block of a level is; level -1 is the data. */
  blockOf(level: number, index: number): number {
    return level < 0 ? index : this.layout.dataBlocks + this.tree.layout.levels[level]!.first + index;
  }

  /** Where a block of the message lies. */
  place(block: number): { area: 'data' | 'hash'; file: BlockFile; block: number; position: number } {
    const { dataBlocks, blockSize } = this.layout;
    const isData = block < dataBlocks;
    const inFile = isData ? block : block - dataBlocks + this.tree.start;
    const { dataFile, hashFile } = this.files;
    return {
      area: isData ? 'data' : 'hash',
      file: isData ? dataFile : hashFile,
      block: inFile,
      position: inFile * blockSize,
    };
  }

  /** Fills the bytes from the message, from a position in it on. @throws VerityError EIO; the system's error */
  async read(position: number, into: Uint8Array): Promise<void> {
    const { dataBlocks, blockSize } = this.layout;
    const { dataFile, hashFile } = this.files;
    const border = dataBlocks * blockSize;
    const inData = Math.max(0, Math.min(into.length, border - position));
    if (inData > 0) await dataFile.read(into.subarray(0, inData), position);
    if (inData === into.length) return;
    const behind = position + inData - border;
    await hashFile.read(into.subarray(inData), this.tree.start * blockSize + behind);
  }

  /** Fills the bytes from the FEC area. */
  readParity(position: number, into: Uint8Array): Promise<void> {
    return this.files.fecFile.read(into, this.offset + position);
  }

  /** @throws VerityError where the FEC file ends before the parity does */
  checkSize(): void {
    const needed = this.offset + this.layout.paritySize;
    const { size, path } = this.files.fecFile;
    if (size < needed)
      throw new VerityError(
        'Invalid FEC segment length.',
        'EIO',
        `${path} has ${size} bytes, its parity ends at ${needed}`,
      );
  }
}
