import { Bitmap } from '../../../verity/bitmap.js';
import { BlockHasher } from '../../../verity/block-hasher.js';
import { VerityError } from '../../../verity/error.js';
import { FecLayout } from '../../../verity/fec/fec-layout.js';
import type { Tree } from '../../../verity/parameters.js';
import { treeLayout } from '../../../verity/tree-layout.js';
import { type BadHashBlock, TrustedHashes } from '../../../verity/trusted-hashes.js';
import { openArea } from '../../area.js';
import { Arguments } from '../../arguments.js';
import { sectorSize } from '../../bio.js';
import { readBelow } from '../../device-read.js';
import { TableError } from '../../table-error.js';
import type { BlockDevice, Target, TargetContext, TargetType } from '../../target.js';
import { BioVerifier } from './bio-verifier.js';
import { Corruption } from './corruption.js';
import { type FecFeature, mostFeatures, parseFeatures, type VerityFeatures } from './features.js';
import { FecDecoder } from './fec-decoder.js';
import { VerityTarget } from './target.js';

const pageSize = 4096;
const fixed = 10;

/** In the order in which the kernel looks at it. Source: drivers/md/dm-verity-target.c:verity_ctr. @throws TableError */
async function ctr(args: readonly string[], context: TargetContext): Promise<Target> {
  if (!context.readOnly) throw new TableError('Device must be readonly', { hint: 'open it for reading only' });
  if (args.length < fixed)
    throw new TableError('Not enough arguments', {
      hint: 'expected <version> <data_dev> <hash_dev> <data_block_size> <hash_block_size> <data_blocks> <hash_start> <algorithm> <root> <salt>',
    });
  const group = args.length > fixed ? optionGroup(args) : new Arguments([]);
  const rest = new Arguments(args);
  const hashType = rest.number('Invalid version', 0, 1) as 0 | 1;
  const [dataSpec, hashSpec] = [rest.take(''), rest.take('')];
  const data = await lookUp(context, dataSpec, 1, 'Data device lookup failed');
  const hashDevice = await lookUp(context, hashSpec, 2, 'Hash device lookup failed');
  const dataBlockSize = blockSize(rest, 'Invalid data device block size', data, pageSize);
  const hashBlockSize = blockSize(rest, 'Invalid hash device block size', hashDevice, 2 ** 30);
  const dataBlocks = rest.number('Invalid data blocks', 0, Math.floor(Number.MAX_SAFE_INTEGER / dataBlockSize));
  if (context.length > (dataBlocks * dataBlockSize) / sectorSize)
    throw rest.error('Data device is too small', `the target has ${context.length} sectors`);
  const start = rest.number('Invalid hash start', 0, Math.floor(Number.MAX_SAFE_INTEGER / hashBlockSize));
  const hash = rest.take('');
  const rootText = rest.take('');
  const saltText = rest.take('');
  const salt = Buffer.from(saltText === '-' ? '' : saltText, 'hex');
  const hasher = openHasher(hash, hashType, salt, context);
  try {
    const { digestSize } = hasher;
    if (hashBlockSize < digestSize * 2) throw new TableError('Digest size too big', { argument: 4 });
    const rootHash = Buffer.from(rootText, 'hex');
    if (!isHex(rootText) || rootText.length !== digestSize * 2)
      throw new TableError('Invalid root digest', {
        argument: 8,
        value: rootText,
        hint: `expected ${digestSize * 2} hex digits`,
      });
    if (saltText !== '-' && !isHex(saltText))
      throw new TableError('Invalid salt', { argument: 9, value: saltText, hint: 'expected hex digits, or -' });
    const features = parseFeatures(group, dataBlocks);
    const fecDevice =
      features.fec && (await lookUp(context, features.fec.spec, features.fec.argument, 'FEC device lookup failed'));
    const layout = treeLayout({ dataBlocks, hashBlockSize, digestSize, hashType });
    const tree: Tree = { hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, salt, layout, start, hasher };
    checkSize(hashDevice, (start + layout.hashBlocks) * hashBlockSize, 2, 'Hash device is too small');
    const fec = features.fec && openFec(features.fec, fecDevice!, tree, hashDevice);
    const place = { spec: dataSpec, argument: 1, start: 0 };
    const area = await openArea(context, place, dataBlockSize);
    const parts = await openParts(tree, rootHash, features, { data, hash: hashDevice, ...(fec && { fec }) }, context);
    return new VerityTarget({
      ...parts,
      tree,
      hash,
      rootHash,
      features,
      data: area,
      hashDevice,
      fecDevice: fec?.device,
    });
  } catch (error) {
    hasher.close();
    throw error;
  }
}

interface OpenedFec {
  device: BlockDevice;
  layout: FecLayout;
  offset: number;
}

async function openParts(
  tree: Tree,
  rootHash: Buffer,
  features: VerityFeatures,
  { data, hash, fec }: { data: BlockDevice; hash: BlockDevice; fec?: OpenedFec },
  { notify, reserve, makeMempool, makeRequestSource }: TargetContext,
) {
  const corruption = new Corruption(features, notify, tree, { data, hash });
  const read = async (place: number, into: Buffer) => {
    const error = await readBelow(hash, (tree.start + place) * tree.hashBlockSize, into);
    if (error) throw Object.assign(new Error(`hash block ${tree.start + place}: ${error.code}`), { code: error.code });
  };
  const zeroDigest = features.ignoreZeroBlocks ? await digestOfZeroes(tree) : undefined;
  const decoder =
    fec &&
    new FecDecoder({
      tree,
      layout: fec.layout,
      devices: { data, hash, fec: fec.device },
      offset: fec.offset,
      // Not those that ask for corrections: FEC does not lean on itself.
      hashes: new TrustedHashes({ tree, rootHash, read }),
      zeroDigest,
    });
  const onBad = async ({ place, bytes, wanted, error }: BadHashBlock) => {
    const block = tree.start + place;
    if (await decoder?.correct(tree.dataBlocks + place, wanted, bytes)) {
      corruption.corrected('hash', block, error === undefined ? 'corrupted' : 'unreadable');
      return 'mended';
    }
    if (error === undefined) return corruption.corrupted('hash', block) ? 'used' : 'bad';
    corruption.unreadable('hash', block);
    throw error;
  };
  const hashes = new TrustedHashes({ tree, rootHash, read, onBad });
  const { checkAtMostOnce, tryVerifyInTasklet: inline } = features;
  const validated = checkAtMostOnce ? new Bitmap(tree.dataBlocks) : undefined;
  const parts = { tree, data, hashes, corruption, fec: decoder, validated, zeroDigest };
  const verifier = new BioVerifier({ ...parts, inline, reserve, makeMempool, makeRequestSource });
  return { hashes, corruption, verifier };
}

/** The kernel looks whether they are there before it looks at anything else. */
function optionGroup(args: readonly string[]): Arguments {
  const rest = new Arguments(args);
  for (let index = 0; index < fixed; index++) rest.take('');
  return rest.group('Invalid number of feature args', mostFeatures);
}

/** @throws TableError in the words that verity has for this device */
async function lookUp(context: TargetContext, spec: string, argument: number, reason: string): Promise<BlockDevice> {
  try {
    return await context.openDevice(spec, argument);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    throw new TableError(reason, error.fields, { cause: error });
  }
}

function blockSize(args: Arguments, reason: string, device: BlockDevice, max: number): number {
  const size = args.number(reason, Math.max(sectorSize, device.blockSize), max);
  if (Math.log2(size) % 1) throw args.error(reason, 'expected a power of two');
  return size;
}

/** @throws TableError */
function openHasher(hash: string, hashType: 0 | 1, salt: Uint8Array, { crypto }: TargetContext): BlockHasher {
  try {
    return new BlockHasher({ hash, salt, hashType, ...crypto });
  } catch (cause) {
    if (!(cause instanceof VerityError)) throw cause;
    throw new TableError('Cannot initialize hash function', { argument: 7, value: hash, code: 'ENOENT' }, { cause });
  }
}

/** Source: drivers/md/dm-verity-fec.c:verity_fec_ctr. @throws TableError */
function openFec(fec: FecFeature, device: BlockDevice, tree: Tree, hashDevice: BlockDevice): OpenedFec {
  const { argument, blocks, start, roots } = fec;
  const { dataBlockSize, hashBlockSize, dataBlocks, layout } = tree;
  if (dataBlockSize !== hashBlockSize) throw new TableError('Block sizes must match to use FEC', { argument: 4 });
  if (roots === 0) throw new TableError('Missing fec_roots', { argument });
  if (blocks === 0) throw new TableError('Missing fec_blocks', { argument });
  if (blocks < dataBlocks + layout.hashBlocks)
    throw new TableError('Invalid fec_blocks', {
      hint: `expected at least ${dataBlocks + layout.hashBlocks}, the data and hash blocks, got ${blocks}`,
    });
  const hashBlocks = blocks - dataBlocks;
  checkSize(hashDevice, hashBlocks * hashBlockSize, 2, 'Hash device is too small for fec_blocks');
  const parity = new FecLayout({ roots, blockSize: dataBlockSize, dataBlocks, hashBlocks });
  const offset = start * dataBlockSize;
  checkSize(device, offset + parity.paritySize, argument, 'FEC device is too small');
  return { device, layout: parity, offset };
}

/** @throws TableError */
function checkSize(device: BlockDevice, needed: number, argument: number, reason: string): void {
  const size = device.sectors * sectorSize;
  if (needed > size)
    throw new TableError(reason, { argument, code: 'E2BIG', hint: `it has ${size} bytes, ${needed} are needed` });
}

async function digestOfZeroes({ hasher, dataBlockSize, layout }: Tree): Promise<Buffer> {
  const digest = Buffer.alloc(layout.digestSize);
  await hasher.hash(Buffer.alloc(dataBlockSize), digest, dataBlockSize);
  return digest;
}

function isHex(text: string): boolean {
  return /^([0-9a-f]{2})*$/i.test(text);
}

export const verity: TargetType = { name: 'verity', version: [1, 10, 0], readOnly: true, ctr };
