import { overlap } from '../areas.js';
import type { BlockFile } from '../block-file.js';
import { VerityError } from '../error.js';
import { defaultRoots, type Tree } from '../parameters.js';
import { hashBlockAt } from '../tree-layout.js';
import { coveredHashBlocks, FecLayout } from './fec-layout.js';
import { maxRoots, minRoots } from './reed-solomon.js';

/** Where the parity is, and how much of it there is for each word. */
export interface FecArea {
  /** Bytes from the start of the FEC file. Default 0. */
  offset?: number;
  /** Bytes of parity for each word of 255, from 2 to 24. Default 2. */
  roots?: number;
}

/** What there is to say of an image's parity. */
export interface FecHeader {
  roots: number;
  /** Blocks of parity. */
  blocks: number;
  /** Bytes from the start of the FEC file to its end. */
  end: number;
  /** Whether it is in the hash file. */
  inHashFile: boolean;
}

export function fecHeader({ roots, rounds, paritySize }: FecLayout, offset: number, inHashFile: boolean): FecHeader {
  return { roots, blocks: rounds * roots, end: offset + paritySize, inHashFile };
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
    throw new VerityError('Unsupported VERITY FEC offset.', 'EINVAL', `expected a multiple of 512, got ${offset}`);
  if (dataBlockSize !== hashBlockSize)
    throw new VerityError(
      'Block sizes must match for FEC.',
      'EINVAL',
      `data blocks have ${dataBlockSize} bytes, hash blocks ${hashBlockSize}`,
    );
  if (!Number.isInteger(roots) || roots < minRoots || roots > maxRoots)
    throw new VerityError('Invalid number of parity bytes.', 'EINVAL', `--fec-roots: ${minRoots} to ${maxRoots}`);
  return { offset, roots };
}

/**
 * What FEC covers of an image: of the hash file `blocks` less the data blocks; or, as `veritysetup` has it, all behind the tree's start of the `hashSize` bytes
 * that it has, or up to the FEC area where that is in it too; in any case the tree. `dataEnd` is the first byte behind the data. @throws VerityError in veritysetup's words: areas overlap
 */
export function fecLayout(
  { dataBlocks, dataBlockSize, hashBlockSize, start, layout }: Tree,
  { offset, roots }: Required<FecArea>,
  { dataFile, hashFile, fecFile }: FecFiles,
  hashSize: number,
  { dataEnd = dataBlocks * dataBlockSize, blocks }: { dataEnd?: number; blocks?: number | undefined } = {},
): FecLayout {
  const inHashFile = hashFile.isSame(fecFile);
  const hashEnd = (start + layout.hashBlocks) * hashBlockSize;
  if (inHashFile && hashEnd > offset)
    throw overlap('Hash area overlaps with FEC area.', hashFile, hashEnd, 'FEC area', offset);
  if (dataFile.isSame(fecFile) && dataEnd > offset)
    throw overlap('Data area overlaps with FEC area.', dataFile, dataEnd, 'FEC area', offset);
  const least = dataBlocks + layout.hashBlocks;
  if (blocks !== undefined && blocks < least)
    throw new VerityError(
      'Invalid FEC segment length.',
      'EINVAL',
      `--fec-blocks: expected at least ${least}, the data and hash blocks, got ${blocks}`,
    );
  // A hash file that was cut off still had its tree when the parity was made.
  const covered = Math.max(layout.hashBlocks, coveredHashBlocks(inHashFile ? offset : hashSize, start, hashBlockSize));
  const hashBlocks = blocks === undefined ? covered : blocks - dataBlocks;
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

  /** The level of a block of the message, and its index in it. */
  levelOf(block: number): { level: number; index: number } {
    const { dataBlocks } = this.layout;
    return block < dataBlocks ? { level: -1, index: block } : hashBlockAt(this.tree.layout, block - dataBlocks);
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
}
