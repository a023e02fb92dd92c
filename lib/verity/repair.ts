import { checkAborted } from '../base/abort.js';
import type { BlockFile } from './block-file.js';
import { VerityError } from './error.js';
import { type FecFiles, FecImage } from './fec/fec-image.js';
import { ImageMender } from './fec/image-mender.js';
import { type FecImageOptions, type OpenedImage, openFecImage } from './fec/open-fec-image.js';
import { ReedSolomon } from './fec/reed-solomon.js';
import type { OnProgress } from './on-progress.js';
import { OpenFiles, type RepairOutput } from './open-files.js';

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
  /** 'mended', or would be; 'not written': it could be, but its file is not among those written; 'left': FEC does not suffice. */
  outcome: 'mended' | 'not written' | 'left';
}

export type RepairCounts = Record<RepairedBlock['area'], number>;

export interface Repair {
  /** Whether nothing is left that is known to be wrong: of what is written, or in a dry run would be. */
  good: boolean;
  /** The first blocks: those of data and tree that were mended, those that were not, those of parity. */
  blocks: RepairedBlock[];
  mended: RepairCounts;
  notWritten: RepairCounts;
  left: RepairCounts;
  /** Sets of blocks whose parity does not fit, where that may be for blocks which cannot be judged. */
  unjudgedParity: number;
  /** The files that were written. */
  written: string[];
}

/**
 * Mends an image of which the root hash is trusted from its FEC data: data blocks, hash blocks and parity. Only blocks that have the digest which the verified
 * tree wants are ever written, and parity of blocks that all have. So a kill at any point leaves an image in place no worse than before, and the next run goes on. A
 * new file appears when all of its image is right. Source: drivers/md/dm-verity-fec.c, which mends only what it gives out.
 * @throws VerityError, AlgError, AbortError; EEXIST for an output that exists
 */
export async function repairVerity(
  dataPath: string,
  hashPath: string,
  rootHash: Uint8Array,
  options: RepairOptions,
): Promise<Repair> {
  const { to, signal } = options;
  checkAborted(signal);
  await using files = new OpenFiles();
  const opened = await openFecImage(files, dataPath, hashPath, options, to === 'in-place' ? 'r+' : 'r');
  const { tree, layout, sources } = opened;
  try {
    if (rootHash.length !== tree.layout.digestSize) throw new VerityError('Invalid root hash string specified.');
    const missing = Math.max(0, layout.dataBlocks * layout.blockSize - sources.dataFile.size);
    if (missing > layout.paritySize)
      throw new VerityError(
        'Errors cannot be repaired with FEC device.',
        'EPERM',
        `${dataPath} has ${sources.dataFile.size} bytes of ${layout.dataBlocks} data blocks, and there is not parity for so many`,
      );
    const target = typeof to === 'object' ? await files.copies(sources, to, signal) : sources;
    return await mend(opened, rootHash, files, target, options);
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
): Promise<Repair> {
  const { to, maxErrors = 1000, signal, onProgress } = options;
  const writes = (file: BlockFile) => to === 'in-place' || files.isCopy(file);
  const writable = { data: writes(target.dataFile), hash: writes(target.hashFile), fec: writes(target.fecFile) };
  const image = new FecImage(tree, layout, target, area.offset);
  const none = () => ({ data: 0, hash: 0, fec: 0 });
  const counts = { mended: none(), 'not written': none(), left: none() };
  const blocks: RepairedBlock[] = [];
  const note = (block: Omit<RepairedBlock, 'outcome'>, mended: boolean) => {
    const outcome = !mended ? 'left' : to === 'dry-run' || writable[block.area] ? 'mended' : 'not written';
    counts[outcome][block.area]++;
    if (blocks.length < maxErrors) blocks.push({ ...block, outcome });
  };
  const place = (message: number) => {
    const { area, file, block, position } = image.place(message);
    return { area, path: file.path, block, position };
  };
  const code = new ReedSolomon(layout.roots, options.engine);
  const mender = new ImageMender(
    image,
    writable,
    rootHash,
    code,
    {
      onMended: (block) => note(place(block), true),
      onLeft: (block) => note(place(block), false),
      onParity: (set, index) => {
        const block = set * layout.roots + index;
        const position = area.offset + block * layout.blockSize;
        note({ area: 'fec', path: target.fecFile.path, block, position }, true);
      },
      onProgress,
    },
    signal,
  );
  const { unjudgedParity } = await mender.run();
  const sum = ({ data, hash, fec }: RepairCounts) => data + hash + fec;
  const left = sum(counts.left);
  const written = to === 'in-place' ? await files.sync() : left === 0 ? await files.commit() : [];
  const good = left + sum(counts['not written']) + unjudgedParity === 0;
  return {
    good,
    blocks,
    mended: counts.mended,
    notWritten: counts['not written'],
    left: counts.left,
    unjudgedParity,
    written,
  };
}
