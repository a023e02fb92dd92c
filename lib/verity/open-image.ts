import { type BlockFile, checkNotTiny } from './block-file.js';
import type { BlockHasherOptions } from './block-hasher.js';
import { VerityError } from './error.js';
import type { OpenFiles } from './open-files.js';
import {
  checkHashOffset,
  checkParameters,
  checkSomeData,
  openTree,
  type Tree,
  type VerityParameters,
  verityDefaults,
} from './parameters.js';
import { checkArea, noSignature, parseSuperblock, type Superblock, superblockSize } from './superblock.js';

/** Where the tree of an image that exists is, and what it is made with, as far as no superblock says it. */
export interface ImageOptions extends Partial<VerityParameters>, Pick<BlockHasherOptions, 'provider' | 'engine'> {
  /** Where the hash area begins, in bytes: a multiple of 512. Default 0. */
  hashOffset?: number;
  /** Whether the hash area begins with a superblock: then its parameters count, not those given. Default true. */
  superblock?: boolean;
}

/** Opens both files of an image and finds out what it is made with, in the order in which veritysetup complains. @throws VerityError in its words */
export async function openImage(
  files: OpenFiles,
  dataPath: string,
  hashPath: string,
  options: ImageOptions,
  mode: 'r' | 'r+' = 'r',
): Promise<{ parameters: VerityParameters; dataFile: BlockFile; hashFile: BlockFile }> {
  const { hashOffset = 0, superblock = true } = options;
  const hashFile = await files.open(hashPath, mode);
  const known = superblock ? await readSuperblock(hashFile, hashOffset) : givenParameters(options, hashOffset);
  const dataFile = await files.open(dataPath, mode);
  checkNotTiny(dataFile);
  const { dataBlockSize } = known;
  const dataBlocks = superblock
    ? known.dataBlocks
    : checkArea(BigInt(known.dataBlocks || Math.floor(dataFile.size / dataBlockSize)), dataBlockSize);
  return { parameters: { ...known, dataBlocks }, dataFile, hashFile };
}

/** The tree of an opened image. Close its hasher. @throws VerityError in veritysetup's words */
export function openImageTree(parameters: VerityParameters, options: ImageOptions): Tree {
  const { hashOffset = 0, superblock = true, provider, engine } = options;
  const run = { ...(provider && { provider }), ...(engine && { engine }) };
  const tree = openTree(parameters, hashOffset, superblock, run);
  try {
    checkSomeData(parameters.dataBlocks);
    return tree;
  } catch (error) {
    tree.hasher.close();
    throw error;
  }
}

/** Without superblock they have to be told. @throws VerityError */
function givenParameters(options: Partial<VerityParameters>, hashOffset: number): VerityParameters {
  const { hash, hashType, dataBlockSize, hashBlockSize } = { ...verityDefaults, ...options };
  const { salt = new Uint8Array(0), dataBlocks = 0 } = options;
  checkParameters({ hashType, dataBlockSize, hashBlockSize }, hashOffset);
  return { hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, salt };
}

/** @throws VerityError in veritysetup's words */
export async function readSuperblock(file: BlockFile, hashOffset: number): Promise<Superblock> {
  orInvalid(file, () => checkHashOffset(hashOffset));
  const bytes = Buffer.alloc(superblockSize);
  if (hashOffset + superblockSize <= file.size) await file.read(bytes, hashOffset);
  return orInvalid(file, () => parseSuperblock(bytes));
}

/** Says that it is no verity device, after the reason, where there is more to say than that. */
export function orInvalid<T>(file: BlockFile, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (!(cause instanceof VerityError)) throw cause;
    const reason = cause.message === noSignature ? '' : `${cause.message}\n`;
    const words = `${reason}Device ${file.path} is not a valid VERITY device.`;
    const detail =
      cause.detail ?? 'give --hash-offset where the superblock is elsewhere, --no-superblock where there is none';
    throw new VerityError(words, 'EINVAL', detail, { cause });
  }
}
