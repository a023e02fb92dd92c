import { BlockHasher, type BlockHasherOptions } from './block-hasher.js';
import { VerityError } from './error.js';
import { checkBlockSizes, checkHashType, type HashType } from './superblock.js';
import { type TreeLayout, treeLayout, treeStart } from './tree-layout.js';

/** What a tree is made with, wherever that is known from: options or a superblock. */
export interface VerityParameters {
  hash: string;
  hashType: HashType;
  /** Bytes, powers of two. */
  dataBlockSize: number;
  hashBlockSize: number;
  dataBlocks: number;
  salt: Uint8Array;
}

/** What veritysetup is compiled with. */
export const verityDefaults = { hash: 'sha256', hashType: 1, dataBlockSize: 4096, hashBlockSize: 4096 } as const;
export const defaultSaltSize = 32;
export const defaultRoots = 2;

/** A tree and where it is: everything but its files. */
export interface Tree extends VerityParameters {
  layout: TreeLayout;
  /** The hash block that the tree starts with, counted from the start of the file. */
  start: number;
  hasher: BlockHasher;
}

/** In the order in which veritysetup complains. @throws VerityError */
export function checkParameters(
  parameters: Pick<VerityParameters, 'hashType' | 'dataBlockSize' | 'hashBlockSize'>,
  hashOffset: number,
): void {
  checkHashType(parameters.hashType);
  checkBlockSizes(parameters.dataBlockSize, parameters.hashBlockSize);
  checkHashOffset(hashOffset);
}

/** @throws VerityError in veritysetup's words */
export function checkHashOffset(hashOffset: number): void {
  if (!Number.isSafeInteger(hashOffset) || hashOffset < 0 || hashOffset % 512)
    throw new VerityError('Unsupported VERITY hash offset.', 'EINVAL', `expected a multiple of 512, got ${hashOffset}`);
}

/** Opens the hash and lays the tree out. Close the hasher. @throws VerityError */
export function openTree(
  parameters: VerityParameters,
  hashOffset: number,
  hasSuperblock: boolean,
  run: Pick<BlockHasherOptions, 'provider' | 'engine'>,
): Tree {
  const { hash, hashType, hashBlockSize, dataBlocks, dataBlockSize, salt } = parameters;
  const hasher = new BlockHasher({ hash: hash.toLowerCase(), salt, hashType, ...run });
  try {
    const layout = treeLayout({ dataBlocks, hashBlockSize, digestSize: hasher.digestSize, hashType });
    const start = treeStart(hashOffset, hashBlockSize, hasSuperblock);
    const end = Math.max(dataBlocks * dataBlockSize, (start + layout.hashBlocks) * hashBlockSize);
    if (!Number.isSafeInteger(end))
      throw new VerityError('Device offset overflow.', 'EINVAL', 'the areas end beyond what can be counted');
    return { ...parameters, layout, start, hasher };
  } catch (error) {
    hasher.close();
    throw error;
  }
}

/** Without data a root hash would be of nothing, and anything would have it. @throws VerityError in veritysetup's words */
export function checkSomeData(dataBlocks: number): void {
  if (dataBlocks === 0) throw new VerityError('Hash area overflow.', 'EINVAL', 'there is not one whole data block');
}

/** A root hash as bytes, or as hex digits. */
export type RootHash = Uint8Array | string;

/** The bytes of a root hash. @throws VerityError in veritysetup's words: it has another size, or is no hex */
export function rootHashBytes(
  rootHash: RootHash,
  { hash, digestSize }: { hash: string; digestSize: number },
): Uint8Array {
  const bytes = typeof rootHash === 'string' ? parseRootHash(rootHash) : rootHash;
  if (bytes.length !== digestSize)
    throw invalidRootHash(`expected ${2 * digestSize} hex digits, as ${hash} has, got ${2 * bytes.length}`);
  return bytes;
}

/** Hex digits, upper or lower case. @throws VerityError */
export function parseRootHash(text: string): Buffer {
  if (!/^([0-9a-f]{2})+$/i.test(text)) throw invalidRootHash('expected hex digits, two for each byte');
  return Buffer.from(text, 'hex');
}

function invalidRootHash(detail: string): VerityError {
  return new VerityError('Invalid root hash string specified.', 'EINVAL', detail);
}
