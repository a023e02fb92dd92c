import type { BlockFile } from './block-file.js';
import type { BlockHasherOptions } from './block-hasher.js';
import type { FecArea, FecHeader } from './fec/fec-image.js';
import { OpenFiles } from './open-files.js';
import { orInvalid, readSuperblock } from './open-image.js';
import { openTree, type Tree, type VerityParameters } from './parameters.js';

export interface DumpOptions extends Pick<BlockHasherOptions, 'provider' | 'engine'> {
  /** Where the hash area begins, in bytes: a multiple of 512. Default 0. */
  hashOffset?: number;
  /** FEC data, of which it is said how much there has to be. Default: none. */
  fec?: FecArea & { path: string };
}

export interface VerityHeader extends VerityParameters {
  uuid: string;
  hashBlocks: number;
  /** Bytes from the start of the hash file to the end of the tree. */
  hashEnd: number;
  fec?: FecHeader;
}

/** What the superblock of a hash area says. @throws VerityError in veritysetup's words */
export async function dumpVerity(hashPath: string, options: DumpOptions = {}): Promise<VerityHeader> {
  const { hashOffset = 0, fec, ...run } = options;
  await using files = new OpenFiles();
  const file = await files.open(hashPath, 'r');
  const superblock = await readSuperblock(file, hashOffset);
  const tree = orInvalid(file, () => openTree(superblock, hashOffset, true, run));
  tree.hasher.close();
  const { hashBlocks } = tree.layout;
  const header = { ...superblock, hashBlocks, hashEnd: (tree.start + hashBlocks) * superblock.hashBlockSize };
  return fec ? { ...header, fec: await dumpFec(files, file, tree, fec) } : header;
}

async function dumpFec(
  files: OpenFiles,
  hashFile: BlockFile,
  tree: Tree,
  fec: FecArea & { path: string },
): Promise<FecHeader> {
  const { checkFecArea, fecHeader } = await import('./fec/fec-image.js');
  const { coveredHashBlocks, FecLayout } = await import('./fec/fec-layout.js');
  const { dataBlocks, hashBlockSize: blockSize, start } = tree;
  const { offset, roots } = checkFecArea(fec, tree);
  const inHashFile = (await files.open(fec.path, 'r')).isSame(hashFile);
  const hashBlocks = coveredHashBlocks(inHashFile ? offset : hashFile.size, start, blockSize);
  return fecHeader(new FecLayout({ roots, blockSize, dataBlocks, hashBlocks }), offset, inHashFile);
}
