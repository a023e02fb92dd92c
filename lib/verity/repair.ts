import { checkAborted } from '../base/abort.js';
import type { BlockFile } from './block-file.js';
import type { OnProgress } from './block-runs.js';
import { VerityError } from './error.js';
import { type FecFiles, FecImage } from './fec/fec-image.js';
import { ImageMender, type MenderEvents, type MenderSummary } from './fec/image-mender.js';
import { type FecImageOptions, type OpenedImage, openFecImage } from './fec/open-fec-image.js';
import { ReedSolomon } from './fec/reed-solomon.js';
import { OpenFiles, type RepairOutput } from './open-files.js';
import { type RootHash, rootHashBytes } from './parameters.js';

export interface RepairOptions extends FecImageOptions {
  /** Nothing is written in a dry run, which says what would be. */
  to: 'dry-run' | 'in-place' | RepairOutput;
  /** How many blocks are listed; all are counted. Default 1000. */
  maxErrors?: number;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** A block that was not as it should be. */
export interface RepairedBlock {
  area: 'data' | 'hash' | 'fec';
  path: string;
  /** Number of the block in its file, of a FEC area in that area; and its first byte in the file. */
  block: number;
  position: number;
  /** 'would be mended': in a dry run; 'not written': it could be, but its file is not among those written; 'left': FEC does not suffice. */
  outcome: 'mended' | 'would be mended' | 'not written' | 'left';
}

export type RepairCounts = Record<RepairedBlock['area'], number>;

export interface Repair {
  /** Whether every block of data and tree has its digest now, or in a dry run would have it; of an output, whether it has all that was mended. */
  good: boolean;
  /** The first blocks: those of data and tree that were mended, those that were not, those of parity. */
  blocks: RepairedBlock[];
  mended: RepairCounts;
  notWritten: RepairCounts;
  left: RepairCounts;
  /** Blocks below hash blocks that are left: there is no digest to judge them by. They are not in `blocks`. */
  unjudged: Omit<RepairCounts, 'fec'>;
  /** Sets of blocks whose parity does not fit, where that may be for blocks which cannot be judged. */
  unjudgedParity: number;
  /** The files that were written. */
  written: string[];
}

/**
 * Mends an image of which the root hash (bytes or hex digits) is trusted from its FEC data: data blocks, hash blocks and parity. Only blocks that have the digest which the verified
 * tree wants are ever written, and parity of blocks that all have. So a kill at any point leaves an image in place no worse than before, and the next run goes on. A
 * new file appears when all of its image is right. Source: drivers/md/dm-verity-fec.c, which mends only what it gives out.
 * @throws VerityError, AlgError, AbortError; EEXIST for an output that exists
 */
export async function repairVerity(
  dataPath: string,
  hashPath: string,
  rootHash: RootHash,
  options: RepairOptions,
): Promise<Repair> {
  const { repair, summary } = await mendVerity(dataPath, hashPath, rootHash, options);
  if (!summary.rootHash)
    throw new VerityError(
      'Verification of root hash failed.',
      'EPERM',
      'the block at the top has another digest, and FEC cannot mend it; is the root hash right?',
    );
  return repair;
}

/** The same, also where the root hash is not the one. `listen` has each bad block told, once it is known what the image is like. */
export async function mendVerity(
  dataPath: string,
  hashPath: string,
  rootHash: RootHash,
  options: RepairOptions,
  listen?: (image: OpenedImage) => MenderEvents['onBad'],
): Promise<{ repair: Repair; summary: MenderSummary }> {
  const { to, signal } = options;
  checkAborted(signal);
  await using files = new OpenFiles();
  const opened = await openFecImage(files, dataPath, hashPath, options, to === 'in-place' ? 'r+' : 'r');
  const { tree, sources } = opened;
  try {
    const root = rootHashBytes(rootHash, { hash: tree.hash, ...tree.layout });
    const target = typeof to === 'object' ? await files.copies(sources, to, signal) : sources;
    return await mend(opened, root, files, target, options, listen?.(opened));
  } finally {
    tree.hasher.close();
  }
}

async function mend(
  { tree, layout, area }: OpenedImage,
  rootHash: Uint8Array,
  files: OpenFiles,
  target: FecFiles,
  options: RepairOptions,
  onBad: MenderEvents['onBad'] = () => {},
): Promise<{ repair: Repair; summary: MenderSummary }> {
  const { to, maxErrors = 1000, signal, onProgress } = options;
  const writes = (file: BlockFile) => to === 'in-place' || files.isCopy(file);
  const writable = { data: writes(target.dataFile), hash: writes(target.hashFile), fec: writes(target.fecFile) };
  const image = new FecImage(tree, layout, target, area.offset);
  const none = () => ({ data: 0, hash: 0, fec: 0 });
  const [mended, notWritten, left] = [none(), none(), none()];
  const blocks: RepairedBlock[] = [];
  const note = (block: Omit<RepairedBlock, 'outcome'>, counts: RepairCounts, outcome: RepairedBlock['outcome']) => {
    counts[block.area]++;
    if (blocks.length < maxErrors) blocks.push({ ...block, outcome });
  };
  const noteMended = (block: Omit<RepairedBlock, 'outcome'>) => {
    if (to === 'dry-run') note(block, mended, 'would be mended');
    else if (writable[block.area]) note(block, mended, 'mended');
    else note(block, notWritten, 'not written');
  };
  const place = (message: number) => {
    const { area, file, block, position } = image.place(message);
    return { area, path: file.path, block, position };
  };
  const events: MenderEvents = {
    onBad,
    onMended: (block) => noteMended(place(block)),
    onLeft: (block) => note(place(block), left, 'left'),
    onParity: (set, index) => {
      const block = set * layout.roots + index;
      noteMended({ area: 'fec', path: target.fecFile.path, block, position: area.offset + block * layout.blockSize });
    },
    onProgress,
  };
  const code = new ReedSolomon(layout.roots, options.engine);
  const summary = await new ImageMender(image, writable, rootHash, code, events, signal).run();
  const { unjudged, unjudgedParity } = summary;
  const sum = (counts: Partial<RepairCounts>) => Object.values(counts).reduce((total, count) => total + count, 0);
  const isWhole = sum(left) + sum(unjudged) === 0;
  const written = to === 'in-place' ? await files.sync() : isWhole ? await files.commit() : [];
  const good = isWhole && sum(notWritten) === 0;
  return { repair: { good, blocks, mended, notWritten, left, unjudged, unjudgedParity, written }, summary };
}
