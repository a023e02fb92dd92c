import { randomBytes, randomUUID } from 'node:crypto';
import { checkAborted } from '../base/abort.js';
import { checkHashArea, tailOf } from './areas.js';
import { BlockFile, checkNotTiny, commitFiles } from './block-file.js';
import type { BlockHasherOptions } from './block-hasher.js';
import { eachRun, type OnProgress } from './block-runs.js';
import { inWords, VerityError } from './error.js';
import type { FecArea, FecHeader } from './fec/fec-image.js';
import type { FecWriter } from './fec/fec-writer.js';
import {
  checkParameters,
  checkSomeData,
  defaultSaltSize,
  openTree,
  type Tree,
  type VerityParameters,
  verityDefaults,
} from './parameters.js';
import { checkArea, formatSuperblock, parseUuid, type Superblock, superblockSize, uuidDetail } from './superblock.js';
import type { TreeLayout } from './tree-layout.js';
import { type OnBlocks, TreeWriter } from './tree-writer.js';

export interface FormatOptions extends Partial<VerityParameters>, Pick<BlockHasherOptions, 'provider' | 'engine'> {
  /** Where the hash area begins, in bytes: a multiple of 512. Default 0. */
  hashOffset?: number;
  /** Whether the hash area begins with a superblock. Default true. */
  superblock?: boolean;
  /** Default: a random one. */
  uuid?: string;
  onProgress?: OnProgress;
  /** FEC data, computed in the same pass; its file may be one of the others, behind what is in it. Default: none. */
  fec?: FecArea & { path: string };
  signal?: AbortSignal;
}

/** What has been written. */
export interface VerityImage extends VerityParameters {
  rootHash: Buffer;
  /** None where there is no superblock. */
  uuid: string | undefined;
  hashBlocks: number;
  /** Bytes from the start of the hash file to the end of the tree. */
  hashEnd: number;
  /** Bytes at the end of the data file that fill no block: no digest covers them. */
  tail: number;
  fec?: FecHeader;
}

/**
 * Writes the hash tree of a file or block device, as `veritysetup format` does. The hash file may be the data file, behind the
 * data. It has its name only when it is complete; one that exists is written in place, the superblock last.
 * @throws VerityError in veritysetup's words, AlgError, AbortError
 */
export async function formatVerity(
  dataPath: string,
  hashPath: string,
  options: FormatOptions = {},
): Promise<VerityImage> {
  const { hashOffset = 0, superblock = true, salt = randomBytes(defaultSaltSize), signal } = options;
  const { hash, hashType, dataBlockSize, hashBlockSize } = { ...verityDefaults, ...options };
  checkAborted(signal);
  await using hashFile = await BlockFile.create(hashPath);
  checkParameters({ hashType, dataBlockSize, hashBlockSize }, hashOffset);
  await using dataFile = await BlockFile.open(dataPath);
  checkNotTiny(dataFile);
  const dataBlocks = checkArea(BigInt(options.dataBlocks || Math.floor(dataFile.size / dataBlockSize)), dataBlockSize);
  await checkHashArea(dataFile, hashFile, { hashOffset, hashBlockSize, superblock }, { dataBlocks, dataBlockSize });
  const parameters = { hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, salt };
  const { provider, engine } = options;
  const run = { ...(provider && { provider }), ...(engine && { engine }) };
  const tree = openTree(parameters, hashOffset, superblock, run);
  using _hasher = tree.hasher;
  checkSomeData(dataBlocks);
  const uuid = superblock ? checkUuid(options.uuid ?? randomUUID(), hashPath) : undefined;
  const { start, layout } = tree;
  const fec = options.fec && (await openFecWriter(tree, options.fec, dataFile, hashFile, engine));
  try {
    const rootHash = await writeTree(tree, dataFile, hashFile, fec?.add, options);
    if (fec) await inWords('Failed to write parity.', () => fec.finish());
    const hashEnd = (start + layout.hashBlocks) * hashBlockSize;
    if (uuid)
      await inWords(cannotWriteTree, () =>
        writeSuperblock(hashFile, hashOffset, hashEnd, { ...parameters, uuid }, layout),
      );
    checkAborted(signal);
    await inWords(cannotWriteTree, () => commitFiles(new Set(fec ? [fec.file, hashFile] : [hashFile])));
    const parity = fec && { fec: fec.header };
    return {
      ...parameters,
      rootHash,
      uuid,
      hashBlocks: layout.hashBlocks,
      hashEnd,
      tail: tailOf(dataFile, tree, hashFile, fec?.file),
      ...parity,
    };
  } finally {
    await fec?.close();
  }
}

/** It comes last: before it there is no image. */
async function writeSuperblock(
  file: BlockFile,
  offset: number,
  hashEnd: number,
  superblock: Superblock,
  { hashBlocks }: TreeLayout,
): Promise<void> {
  // Without a tree, too, the kernel wants a hash device that reaches to where it would begin.
  const from = Math.max(file.size, offset + superblockSize);
  if (hashBlocks === 0 && from < hashEnd) await file.write(Buffer.alloc(hashEnd - from), from);
  await file.write(formatSuperblock(superblock), offset);
}

/** Its modules, a dozen, are loaded where there is FEC: that takes milliseconds. */
async function openFecWriter(...fields: Parameters<typeof FecWriter.open>): Promise<FecWriter> {
  const { FecWriter } = await import('./fec/fec-writer.js');
  return FecWriter.open(...fields);
}

const cannotWriteTree = 'Input/output error while creating hash area.';

async function writeTree(
  tree: Tree,
  dataFile: BlockFile,
  hashFile: BlockFile,
  onBlocks: OnBlocks | undefined,
  { onProgress, signal }: FormatOptions,
): Promise<Buffer> {
  const { dataBlocks, dataBlockSize, hashBlockSize, layout, hasher } = tree;
  const total = dataBlocks * dataBlockSize;
  const writer = new TreeWriter(tree, hashFile, onBlocks);
  const { stride, hashesPerBlock: group } = layout;
  const contiguous = stride * group === hashBlockSize;
  return inWords(cannotWriteTree, async () => {
    if (total > dataFile.size)
      throw new VerityError(
        `${dataFile.path} has ${dataFile.size} bytes, ${dataBlocks} data blocks are ${total}.`,
        'EIO',
      );
    await eachRun(
      { blocks: dataBlocks, blockSize: dataBlockSize, stride, group, contiguous },
      async ({ first, bytes, digests }) => {
        checkAborted(signal);
        const position = first * dataBlockSize;
        // Zeroes change no parity.
        if (dataFile.isHole(position, bytes.length)) return hasher.hashZeroes(digests, dataBlockSize, stride);
        await dataFile.read(bytes, position);
        await Promise.all([hasher.hash(bytes, digests, dataBlockSize, stride), onBlocks?.(position, bytes)]);
      },
      async ({ first, count, digests }) => {
        await writer.add(digests);
        onProgress?.((first + count) * dataBlockSize, total);
      },
    );
    return await writer.finish();
  });
}

/** @throws VerityError in veritysetup's words */
function checkUuid(uuid: string, path: string): string {
  try {
    parseUuid(uuid);
  } catch (cause) {
    throw new VerityError(`Wrong VERITY UUID format provided on device ${path}.`, 'EINVAL', uuidDetail, { cause });
  }
  return uuid;
}
