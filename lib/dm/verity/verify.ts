import { timingSafeEqual } from 'node:crypto';
import { checkAborted } from '../../alg/abort.js';
import { AlgError } from '../../alg/error.js';
import { BlockFile, checkNotTiny } from './block-file.js';
import type { BlockHasherOptions } from './block-hasher.js';
import { readSuperblock } from './dump.js';
import { VerityError } from './error.js';
import type { OnProgress } from './format.js';
import {
  checkParameters,
  checkSomeData,
  openTree,
  type Tree,
  type VerityParameters,
  verityDefaults,
} from './parameters.js';
import { checkArea } from './superblock.js';
import { TreeReader } from './tree-reader.js';
import { type BadBlock, Verdict } from './verdict.js';

export interface VerifyOptions extends Partial<VerityParameters>, Pick<BlockHasherOptions, 'provider' | 'engine'> {
  /** Where the hash area begins, in bytes: a multiple of 512. Default 0. */
  hashOffset?: number;
  /** Whether the hash area begins with a superblock: then its parameters count, not those given. Default true. */
  superblock?: boolean;
  /** How many bad blocks are listed; all are counted. Default 1000. */
  maxErrors?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

export interface Verification {
  good: boolean;
  /** Whether the block at the top has the root hash given. If not, nothing below it has been looked at. */
  rootHash: boolean;
  /** The first bad blocks: hash blocks from the top, then data blocks, each in order. */
  bad: BadBlock[];
  /** How many there are of each. */
  badHashBlocks: number;
  badDataBlocks: number;
  /** Blocks below a bad hash block: there is no digest to judge them by. They are not in `bad`. */
  unverifiableHashBlocks: number;
  unverifiableDataBlocks: number;
  parameters: VerityParameters;
}

/**
 * Verifies data against its hash tree, from the root hash down, and finds every bad block. Resolves also where it is bad.
 * @throws VerityError for what cannot be looked at, in veritysetup's words; AlgError, AbortError
 */
export async function verifyVerity(
  dataPath: string,
  hashPath: string,
  rootHash: Uint8Array,
  options: VerifyOptions = {},
): Promise<Verification> {
  const { hashOffset = 0, superblock = true, maxErrors = 1000, signal, provider, engine } = options;
  checkAborted(signal);
  await using hashFile = await BlockFile.open(hashPath);
  const known = superblock ? await readSuperblock(hashFile, hashOffset) : givenParameters(options, hashOffset);
  await using dataFile = await BlockFile.open(dataPath);
  checkNotTiny(dataFile);
  const { dataBlockSize } = known;
  const dataBlocks = superblock
    ? known.dataBlocks
    : checkArea(BigInt(known.dataBlocks || Math.floor(dataFile.size / dataBlockSize)), dataBlockSize);
  const run = { ...(provider && { provider }), ...(engine && { engine }) };
  const tree = openTree({ ...known, dataBlocks }, hashOffset, superblock, run);
  using _hasher = tree.hasher;
  checkSomeData(dataBlocks);
  if (rootHash.length !== tree.layout.digestSize) throw new VerityError('Invalid root hash string specified.');
  checkLengths(tree, dataFile, hashFile);
  return await verifyTree(tree, dataFile, hashFile, rootHash, { ...options, maxErrors });
}

/** Without superblock they have to be told. @throws VerityError */
export function givenParameters(options: Partial<VerityParameters>, hashOffset: number): VerityParameters {
  const { hash, hashType, dataBlockSize, hashBlockSize } = { ...verityDefaults, ...options };
  const { salt = new Uint8Array(0), dataBlocks = 0 } = options;
  checkParameters({ hashType, dataBlockSize, hashBlockSize }, hashOffset);
  return { hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, salt };
}

/** Before anything is read: a superblock may say anything. */
function checkLengths(tree: Tree, dataFile: BlockFile, hashFile: BlockFile): void {
  const { dataBlocks, dataBlockSize, hashBlockSize, start, layout } = tree;
  for (const [file, what, needed] of [
    [dataFile, `${dataBlocks} data blocks`, dataBlocks * dataBlockSize],
    [hashFile, `a tree of ${layout.hashBlocks} hash blocks`, (start + layout.hashBlocks) * hashBlockSize],
  ] as const)
    if (needed > file.size)
      throw new VerityError(
        'Verification of data area failed.',
        'EIO',
        `${file.path} has ${file.size} bytes, and ${what} need ${needed}`,
      );
}

async function verifyTree(
  tree: Tree,
  dataFile: BlockFile,
  hashFile: BlockFile,
  rootHash: Uint8Array,
  options: VerifyOptions & { maxErrors: number },
): Promise<Verification> {
  const { hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, salt, layout } = tree;
  const verdict = new Verdict(tree, dataFile.path, hashFile.path, options.maxErrors);
  const reader = new TreeReader(tree, dataFile, hashFile, verdict, options);
  const top = layout.levels.length - 1;
  const trusted = await inWords(async () => {
    const good = timingSafeEqual(await reader.topDigest(), rootHash);
    if (!good) verdict.bad(top, 0, 'digest');
    // The lower levels are judged by the upper ones; the data, which is level -1, last.
    for (let level = top - 1; good && level >= -1; level--) await reader.verifyLevel(level);
    return good;
  });
  if (!trusted) verdict.nothingBelow(top);
  const parameters = { hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, salt };
  return { ...verdict.result(), rootHash: trusted, parameters };
}

/** An error of reading is one of the data area, for veritysetup. */
async function inWords<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof AlgError || code === undefined || code === 'ABORT_ERR') throw cause;
    throw new VerityError('Verification of data area failed.', 'EIO', message, { cause });
  }
}
