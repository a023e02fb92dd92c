import { fileIdentity, isSamePath } from '../base/file-identity.js';
import { checkHashArea, dataEnd, overlap } from './areas.js';
import { checkNotTiny } from './block-file.js';
import { checkFecArea, type FecArea, type FecHeader, fecHeader } from './fec/fec-image.js';
import { coveredHashBlocks, FecLayout } from './fec/fec-layout.js';
import type { FormatOptions } from './format.js';
import { OpenFiles } from './open-files.js';
import { checkParameters, checkSomeData, openTree, verityDefaults } from './parameters.js';
import { checkArea } from './superblock.js';

export interface SizeOptions extends Omit<FormatOptions, 'dataBlocks' | 'uuid' | 'fec' | 'onProgress' | 'signal'> {
  dataBlocks: number;
  /** Parity, in a file of its own or behind the tree in the hash file. Default: none. */
  fec?: FecArea & { inHashFile?: boolean };
  /** Bytes that the hash file has before: parity covers them, too. Default 0. */
  hashSize?: number;
}

/** How much of each part an image has. */
export interface VeritySize {
  dataBlocks: number;
  dataBlockSize: number;
  hashBlocks: number;
  hashBlockSize: number;
  /** Bytes of the tree, and from the start of the hash file to its end, the superblock included. */
  hashBytes: number;
  hashEnd: number;
  fec?: FecHeader & { bytes: number };
}

/** What formatVerity() would write for a number of data blocks; nothing is opened. @throws VerityError in veritysetup's words */
export function veritySize(options: SizeOptions): VeritySize {
  const { hashOffset = 0, superblock = true, provider, engine, fec, hashSize = 0, salt = new Uint8Array(0) } = options;
  const { hash, hashType, dataBlockSize, hashBlockSize } = { ...verityDefaults, ...options };
  checkParameters({ hashType, dataBlockSize, hashBlockSize }, hashOffset);
  const dataBlocks = checkArea(BigInt(options.dataBlocks), dataBlockSize);
  const parameters = { hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, salt };
  const run = { ...(provider && { provider }), ...(engine && { engine }) };
  const tree = openTree(parameters, hashOffset, superblock, run);
  tree.hasher.close();
  checkSomeData(dataBlocks);
  const { hashBlocks } = tree.layout;
  const hashEnd = (tree.start + hashBlocks) * hashBlockSize;
  const size = { dataBlocks, dataBlockSize, hashBlocks, hashBlockSize, hashBytes: hashBlocks * hashBlockSize, hashEnd };
  if (!fec) return size;
  const { offset, roots } = checkFecArea(fec, tree);
  const inHashFile = fec.inHashFile === true;
  const covered = coveredHashBlocks(inHashFile ? offset : Math.max(hashSize, hashEnd), tree.start, hashBlockSize);
  const layout = new FecLayout({ roots, blockSize: dataBlockSize, dataBlocks, hashBlocks: covered });
  return { ...size, fec: { ...fecHeader(layout, offset, inHashFile), bytes: layout.paritySize } };
}

/** What formatVerity() would write with the same arguments, and whether its areas overlap; nothing is written. @throws VerityError in veritysetup's words */
export async function planVerity(
  dataPath: string,
  hashPath: string | undefined,
  options: FormatOptions = {},
): Promise<VeritySize> {
  const { fec, hashOffset = 0, superblock = true } = options;
  const { dataBlockSize, hashBlockSize } = { ...verityDefaults, ...options };
  checkParameters({ hashType: 1, dataBlockSize, hashBlockSize }, hashOffset);
  await using files = new OpenFiles();
  const dataFile = await files.open(dataPath, 'r');
  checkNotTiny(dataFile);
  const dataBlocks = options.dataBlocks || Math.floor(dataFile.size / dataBlockSize);
  const data = { dataBlocks, dataBlockSize };
  const end = dataEnd(dataFile, data);
  const isThere = hashPath !== undefined && !(await fileIdentity(hashPath)).startsWith('new ');
  const hashFile = isThere ? await files.open(hashPath, 'r') : undefined;
  if (hashFile) await checkHashArea(dataFile, hashFile, { hashOffset, hashBlockSize, superblock }, data);
  const inHashFile = fec !== undefined && hashPath !== undefined && (await isSamePath(fec.path, hashPath));
  const size = veritySize({
    ...options,
    dataBlocks,
    hashSize: hashFile?.size ?? 0,
    ...(fec && { fec: { ...fec, inHashFile } }),
  } as SizeOptions);
  const { offset = 0 } = fec ?? {};
  if (inHashFile && size.hashEnd > offset)
    throw overlap('Hash area overlaps with FEC area.', { path: hashPath }, size.hashEnd, 'FEC area', offset);
  if (fec && end > offset && (await isSamePath(fec.path, dataPath)))
    throw overlap('Data area overlaps with FEC area.', dataFile, end, 'FEC area', offset);
  return size;
}
