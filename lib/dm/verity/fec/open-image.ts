import { checkNotTiny } from '../block-file.js';
import type { BlockHasherOptions } from '../block-hasher.js';
import { readSuperblock } from '../dump.js';
import type { OpenFiles } from '../open-files.js';
import { checkSomeData, openTree, type Tree, type VerityParameters } from '../parameters.js';
import { checkArea } from '../superblock.js';
import { givenParameters } from '../verify.js';
import { checkFecArea, type FecArea, type FecFiles, FecImage, fecLayout } from './fec-image.js';
import type { FecLayout } from './fec-layout.js';

export interface FecImageOptions extends Partial<VerityParameters>, Pick<BlockHasherOptions, 'provider' | 'engine'> {
  fec: FecArea & { path: string };
  /** Where the hash area begins, in bytes: a multiple of 512. Default 0. */
  hashOffset?: number;
  /** Whether the hash area begins with a superblock: then its parameters count, not those given. Default true. */
  superblock?: boolean;
}

export interface OpenedImage {
  /** Its hasher is to be closed. */
  tree: Tree;
  layout: FecLayout;
  area: Required<FecArea>;
  sources: FecFiles;
}

/** Opens an image that has FEC data, and looks whether it can be one. @throws VerityError in veritysetup's words */
export async function openFecImage(
  files: OpenFiles,
  dataPath: string,
  hashPath: string,
  options: FecImageOptions,
  mode: 'r' | 'r+',
): Promise<OpenedImage> {
  const { hashOffset = 0, superblock = true, provider, engine } = options;
  const hashFile = await files.open(hashPath, mode);
  const known = superblock ? await readSuperblock(hashFile, hashOffset) : givenParameters(options, hashOffset);
  const dataFile = await files.open(dataPath, mode);
  checkNotTiny(dataFile);
  const { dataBlockSize } = known;
  const dataBlocks = superblock
    ? known.dataBlocks
    : checkArea(BigInt(known.dataBlocks || Math.floor(dataFile.size / dataBlockSize)), dataBlockSize);
  const area = checkFecArea(options.fec, known);
  const sources = { dataFile, hashFile, fecFile: await files.open(options.fec.path, mode) };
  const run = { ...(provider && { provider }), ...(engine && { engine }) };
  const tree = openTree({ ...known, dataBlocks }, hashOffset, superblock, run);
  try {
    checkSomeData(dataBlocks);
    const layout = fecLayout(tree, area, sources, hashFile.size);
    new FecImage(tree, layout, sources, area.offset).checkSize();
    return { tree, layout, area, sources };
  } catch (error) {
    tree.hasher.close();
    throw error;
  }
}
