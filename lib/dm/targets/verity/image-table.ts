import { kernelHashName } from '../../../verity/block-hasher.js';
import { VerityError } from '../../../verity/error.js';
import { type FecInput, openFecImage } from '../../../verity/fec/open-fec-image.js';
import { OpenFiles } from '../../../verity/open-files.js';
import { type ImageOptions, openImage, openImageTree } from '../../../verity/open-image.js';
import { type RootHash, rootHashBytes } from '../../../verity/parameters.js';
import { sectorSize } from '../../bio.js';
import type { FecFeature, VerityFeatures } from './features.js';
import { formatArguments } from './line.js';

export interface VerityTableOptions extends ImageOptions {
  fec?: FecInput;
  /** The optional arguments; those of FEC come from `fec`. Default: none. */
  features?: Partial<Omit<VerityFeatures, 'fec'>>;
}

/**
 * The table line of an image, as `dmsetup create --readonly` and openTable() take it, on the paths given. Nothing is verified.
 * `fec_blocks` is what libcryptsetup computes: all of the hash device, or up to the FEC area where that is on it, too.
 * @throws VerityError in veritysetup's words
 */
export async function verityTable(
  dataPath: string,
  hashPath: string,
  rootHash: RootHash,
  options: VerityTableOptions = {},
): Promise<string> {
  await using files = new OpenFiles();
  const { tree, fec } = await openForTable(files, dataPath, hashPath, options);
  tree.hasher.close();
  const { dataBlocks, dataBlockSize } = tree;
  const none = { ignoreZeroBlocks: false, checkAtMostOnce: false, tryVerifyInTasklet: false };
  const words = formatArguments({
    tree: { ...tree, hash: kernelHashName(tree.hash) },
    rootHash: rootHashBytes(rootHash, { hash: tree.hash, ...tree.layout }),
    features: { ...none, ...options.features, ...(fec && { fec }) },
    data: dataPath,
    hashDevice: hashPath,
    fecDevice: fec?.spec,
  });
  return `0 ${(dataBlocks * dataBlockSize) / sectorSize} verity ${words}`;
}

async function openForTable(files: OpenFiles, dataPath: string, hashPath: string, options: VerityTableOptions) {
  const { fec } = options;
  if (!fec) {
    const { parameters } = await openImage(files, dataPath, hashPath, options);
    return { tree: openImageTree(parameters, options), fec: undefined };
  }
  const { tree, layout, area } = await openFecImage(files, dataPath, hashPath, { ...options, fec }, 'r');
  const start = area.offset / layout.blockSize;
  if (!Number.isInteger(start)) {
    tree.hasher.close();
    const detail = `the kernel counts it in blocks: expected a multiple of ${layout.blockSize}, got ${area.offset}`;
    throw new VerityError('Unsupported VERITY FEC offset.', 'EINVAL', detail);
  }
  const feature: FecFeature = { spec: fec.path, argument: 0, blocks: layout.blocks, start, roots: layout.roots };
  return { tree, fec: feature };
}
