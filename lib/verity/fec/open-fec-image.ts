import { VerityError } from '../error.js';
import type { OpenFiles } from '../open-files.js';
import { type ImageOptions, openImage, openImageTree } from '../open-image.js';
import type { Tree } from '../parameters.js';
import { checkFecArea, type FecArea, type FecFiles, fecLayout } from './fec-image.js';
import type { FecLayout } from './fec-layout.js';
import { wordSize } from './reed-solomon.js';

/** FEC data of an image that exists. */
export interface FecInput extends FecArea {
  path: string;
  /** Blocks that it covers, data and tree included: the kernel's fec_blocks. Default: as veritysetup counts, all of the hash file. */
  blocks?: number;
}

export interface FecImageOptions extends ImageOptions {
  fec: FecInput;
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
  const { parameters, dataFile, hashFile } = await openImage(files, dataPath, hashPath, options, mode);
  const area = checkFecArea(options.fec, parameters);
  const sources = { dataFile, hashFile, fecFile: await files.open(options.fec.path, mode) };
  const tree = openImageTree(parameters, options);
  try {
    const layout = fecLayout(tree, area, sources, hashFile.size, {
      blocks: coveredBlocks(options.fec, tree, area, sources),
    });
    checkMissing(layout, tree, area, sources);
    return { tree, layout, area, sources };
  } catch (error) {
    tree.hasher.close();
    throw error;
  }
}

/**
 * The blocks that were given. Where HASH ends before its tree does, its size says nothing of what FEC covered: then a FEC file of its own says it,
 * as to the number of sets. Blocks that are covered and not there are zeroes.
 */
function coveredBlocks(fec: FecInput, tree: Tree, area: Required<FecArea>, files: FecFiles): number | undefined {
  if (fec.blocks !== undefined) return fec.blocks;
  const { start, layout, hashBlockSize, dataBlocks } = tree;
  const { dataFile, hashFile, fecFile } = files;
  const isCut = hashFile.size < (start + layout.hashBlocks) * hashBlockSize;
  if (!isCut || fecFile.isSame(dataFile) || fecFile.isSame(hashFile)) return undefined;
  const sets = Math.floor((fecFile.size - area.offset) / (area.roots * hashBlockSize));
  const least = dataBlocks + layout.hashBlocks;
  const setSize = wordSize - area.roots;
  return sets * setSize > least && sets > Math.ceil(least / setSize) ? sets * setSize : undefined;
}

/** More is missing than any parity can bring back: a superblock may say anything, and nothing is to be done for so many blocks. @throws VerityError */
function checkMissing(layout: FecLayout, tree: Tree, { offset }: Required<FecArea>, files: FecFiles): void {
  const { dataBlocks, blockSize } = layout;
  const { dataFile, hashFile, fecFile } = files;
  const parity = Math.min(layout.paritySize, Math.max(0, fecFile.size - offset));
  for (const [file, end, what] of [
    [dataFile, dataBlocks * blockSize, `${dataBlocks} data blocks`],
    [
      hashFile,
      tree.layout.hashBlocks && (tree.start + tree.layout.hashBlocks) * blockSize,
      `${tree.layout.hashBlocks} hash blocks`,
    ],
  ] as const)
    if (end - file.size > parity)
      throw new VerityError(
        'Errors cannot be repaired with FEC device.',
        'EPERM',
        `${file.path} has ${file.size} bytes, its ${what} end at ${end}, and there is no parity for so much`,
      );
}
