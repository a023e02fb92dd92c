import { checkAborted } from '../base/abort.js';
import { tailOf } from './areas.js';
import type { BlockFile } from './block-file.js';
import type { OnProgress } from './block-runs.js';
import { inWords, VerityError } from './error.js';
import type { FecInput } from './fec/open-fec-image.js';
import { OpenFiles } from './open-files.js';
import { type ImageOptions, openImage, openImageTree } from './open-image.js';
import { type RootHash, rootHashBytes, type Tree, type VerityParameters } from './parameters.js';
import type { Repair } from './repair.js';
import { type BadBlock, Verdict } from './verdict.js';
import { TreeWalk, type WalkSource } from './walk.js';

export interface VerifyOptions extends ImageOptions {
  /** FEC data, which is to say whether what is bad can be mended. Default: none. */
  fec?: FecInput;
  /** How many bad blocks are listed; all are counted. Default 1000. */
  maxErrors?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** What FEC makes of an image: what repairVerity() would do. */
export interface FecVerdict extends Pick<Repair, 'good' | 'mended' | 'left' | 'unjudged' | 'unjudgedParity'> {
  /** Bytes that would be changed: what veritysetup calls repairable errors. */
  repairable: number;
  /** The first set of blocks with one that is left. */
  firstBeyond: number | undefined;
}

export interface Verification {
  /** Whether every block is right as it is. */
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
  /** Bytes at the end of the data file that fill no block: no digest covers them. */
  tail: number;
  /** Where FEC data was given. An image is to be trusted if it is good, or if this is. */
  fec?: FecVerdict;
}

/**
 * Verifies data against its hash tree, from the root hash (bytes or hex digits) down, and finds every bad block. Resolves also where it is bad.
 * @throws VerityError for what cannot be looked at, in veritysetup's words; AlgError, AbortError
 */
export async function verifyVerity(
  dataPath: string,
  hashPath: string,
  rootHash: RootHash,
  options: VerifyOptions = {},
): Promise<Verification> {
  const { maxErrors = 1000, signal, fec } = options;
  checkAborted(signal);
  if (fec) return verifyWithFec(dataPath, hashPath, rootHash, { ...options, fec, maxErrors });
  await using files = new OpenFiles();
  const { parameters, dataFile, hashFile } = await openImage(files, dataPath, hashPath, options);
  const tree = openImageTree(parameters, options);
  using _hasher = tree.hasher;
  const root = rootHashBytes(rootHash, { ...parameters, ...tree.layout });
  checkLengths(tree, dataFile, hashFile);
  return await verifyTree(tree, dataFile, hashFile, root, { ...options, maxErrors });
}

/** One walk finds what is bad, and whether it can be mended. */
async function verifyWithFec(
  dataPath: string,
  hashPath: string,
  rootHash: RootHash,
  options: VerifyOptions & { fec: FecInput; maxErrors: number },
): Promise<Verification> {
  // Its modules, a dozen, are loaded where there is FEC: that takes milliseconds.
  const { mendVerity } = await import('./repair.js');
  let parameters: VerityParameters | undefined;
  let verdict: Verdict | undefined;
  let tail = 0;
  const mend = { ...options, to: 'dry-run' as const };
  const { repair, summary } = await mendVerity(dataPath, hashPath, rootHash, mend, ({ tree, sources }) => {
    parameters = parametersOf(tree);
    tail = tailOf(sources.dataFile, tree, sources.hashFile, sources.fecFile);
    const found = new Verdict(tree, sources.dataFile.path, sources.hashFile.path, options.maxErrors);
    verdict = found;
    return (...bad) => found.bad(...bad);
  });
  const { good, mended, left, unjudged, unjudgedParity } = repair;
  const { rootHash: trusted, changed, firstBeyond } = summary;
  return {
    ...verdict!.result(),
    unverifiableHashBlocks: unjudged.hash,
    unverifiableDataBlocks: unjudged.data,
    rootHash: trusted,
    parameters: parameters!,
    tail,
    fec: { good: good && trusted, mended, left, unjudged, unjudgedParity, repairable: changed, firstBeyond },
  };
}

const dataFailed = 'Verification of data area failed.';

function parametersOf({ hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, salt }: Tree): VerityParameters {
  return { hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, salt };
}

/** Before anything is read: a superblock may say anything. */
function checkLengths(tree: Tree, dataFile: BlockFile, hashFile: BlockFile): void {
  const { dataBlocks, dataBlockSize, hashBlockSize, start, layout } = tree;
  for (const [file, what, needed] of [
    [dataFile, `${dataBlocks} data blocks`, dataBlocks * dataBlockSize],
    // Without hash blocks it does not matter where they would begin.
    [
      hashFile,
      `a tree of ${layout.hashBlocks} hash blocks`,
      layout.hashBlocks && (start + layout.hashBlocks) * hashBlockSize,
    ],
  ] as const)
    if (needed > file.size)
      throw new VerityError(dataFailed, 'EIO', `${file.path} has ${file.size} bytes, and ${what} need ${needed}`);
}

async function verifyTree(
  tree: Tree,
  dataFile: BlockFile,
  hashFile: BlockFile,
  rootHash: Uint8Array,
  options: VerifyOptions & { maxErrors: number },
): Promise<Verification> {
  const { dataBlockSize, hashBlockSize, layout } = tree;
  const verdict = new Verdict(tree, dataFile.path, hashFile.path, options.maxErrors);
  const source: WalkSource = {
    read: (level, first, into) =>
      level < 0
        ? dataFile.read(into, first * dataBlockSize)
        : hashFile.read(into, (tree.start + layout.levels[level]!.first + first) * hashBlockSize),
    isHole: (level, first, length) => level < 0 && dataFile.isHole(first * dataBlockSize, length),
  };
  const walk = new TreeWalk(tree, rootHash, source, verdict, options);
  const trusted = await inWords(dataFailed, () => walk.run());
  if (!trusted) verdict.nothingBelow(layout.levels.length - 1);
  const tail = tailOf(dataFile, tree, hashFile);
  return { ...verdict.result(), rootHash: trusted, parameters: parametersOf(tree), tail };
}
