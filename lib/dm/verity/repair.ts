import { checkAborted } from '../../alg/abort.js';
import { BlockFile, checkNotTiny } from './block-file.js';
import type { BlockHasherOptions } from './block-hasher.js';
import { copyFile } from './copy-file.js';
import { readSuperblock } from './dump.js';
import { VerityError } from './error.js';
import { checkFecArea, type FecArea, type FecFiles, FecImage, fecLayout } from './fec/fec-image.js';
import { ImageMender } from './fec/image-mender.js';
import { MendedImage } from './fec/mended-image.js';
import { ReedSolomon } from './fec/reed-solomon.js';
import type { OnProgress } from './format.js';
import { checkSomeData, openTree, type Tree, type VerityParameters } from './parameters.js';
import { checkArea } from './superblock.js';
import { givenParameters } from './verify.js';

/** Files that the mended image is written to, where it is not mended in place: each appears complete, or not at all. */
export interface RepairOutput {
  data: string;
  /** Of a hash and of a FEC file that is none of the others. */
  hash?: string;
  fec?: string;
}

export interface RepairOptions extends Partial<VerityParameters>, Pick<BlockHasherOptions, 'provider' | 'engine'> {
  fec: FecArea & { path: string };
  /** Nothing is written in a dry run, which says what would be. */
  to: 'dry-run' | 'in-place' | RepairOutput;
  /** Where the hash area begins, in bytes: a multiple of 512. Default 0. */
  hashOffset?: number;
  /** Whether the hash area begins with a superblock: then its parameters count, not those given. Default true. */
  superblock?: boolean;
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
  const { hashOffset = 0, superblock = true, to, signal } = options;
  checkAborted(signal);
  const mode = to === 'in-place' ? 'r+' : 'r';
  await using files = new OpenFiles();
  const hashFile = await files.open(hashPath, mode);
  const known = superblock ? await readSuperblock(hashFile, hashOffset) : givenParameters(options, hashOffset);
  const dataFile = await files.open(dataPath, mode);
  checkNotTiny(dataFile);
  const { dataBlockSize } = known;
  const dataBlocks = superblock
    ? known.dataBlocks
    : checkArea(BigInt(known.dataBlocks || Math.floor(dataFile.size / dataBlockSize)), dataBlockSize);
  const area = checkFecArea(options.fec, known);
  const fecFile = await files.open(options.fec.path, mode);
  const { provider, engine } = options;
  const run = { ...(provider && { provider }), ...(engine && { engine }) };
  const tree = openTree({ ...known, dataBlocks }, hashOffset, superblock, run);
  try {
    checkSomeData(dataBlocks);
    if (rootHash.length !== tree.layout.digestSize) throw new VerityError('Invalid root hash string specified.');
    const sources = { dataFile, hashFile, fecFile };
    const layout = fecLayout(tree, area, sources, hashFile.size);
    new FecImage(tree, layout, sources, area.offset).checkSize();
    const missing = Math.max(0, dataBlocks * dataBlockSize - dataFile.size);
    if (missing > layout.paritySize)
      throw new VerityError(
        'Errors cannot be repaired with FEC device.',
        'EPERM',
        `${dataPath} has ${dataFile.size} bytes of ${dataBlocks} data blocks, and there is not parity for so many`,
      );
    const target = typeof to === 'object' ? await files.copies(sources, to, signal) : { ...sources };
    return await mend({ tree, rootHash, files, target, layout, area, options });
  } finally {
    tree.hasher.close();
  }
}

async function mend({
  tree,
  rootHash,
  files,
  target,
  layout,
  area,
  options,
}: {
  tree: Tree;
  rootHash: Uint8Array;
  files: OpenFiles;
  target: FecFiles;
  layout: ReturnType<typeof fecLayout>;
  area: Required<FecArea>;
  options: RepairOptions;
}): Promise<Repair> {
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
    new MendedImage(image, writable),
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

/** The files in use, and which of them are copies that are to have a name. */
class OpenFiles {
  readonly #open: BlockFile[] = [];
  readonly #copies = new Set<BlockFile>();

  async open(path: string, mode: 'r' | 'r+'): Promise<BlockFile> {
    const file = await BlockFile.open(path, mode);
    this.#open.push(file);
    return file;
  }

  isCopy(file: BlockFile): boolean {
    return this.#copies.has(file);
  }

  /** Copies what has a name to go to; a file that is another one too is copied once. */
  async copies(sources: FecFiles, to: RepairOutput, signal: AbortSignal | undefined): Promise<FecFiles> {
    const { dataFile, hashFile, fecFile } = sources;
    const copy = async (file: BlockFile, path: string | undefined) =>
      path === undefined ? file : this.#copy(file, path, signal);
    const data = await this.#copy(dataFile, to.data, signal);
    const hash = hashFile.isSame(dataFile) ? data : await copy(hashFile, to.hash);
    const isOther = !fecFile.isSame(dataFile) && !fecFile.isSame(hashFile);
    const fec = isOther ? await copy(fecFile, to.fec) : fecFile.isSame(dataFile) ? data : hash;
    return { dataFile: data, hashFile: hash, fecFile: fec };
  }

  async #copy(source: BlockFile, path: string, signal: AbortSignal | undefined): Promise<BlockFile> {
    const file = await BlockFile.create(path);
    this.#open.push(file);
    if (!file.isNew)
      throw Object.assign(new Error(`${path} exists; name a new file, or repair in place`), { code: 'EEXIST' });
    this.#copies.add(file);
    await copyFile(source, file, signal);
    return file;
  }

  /** Everything is on stable storage. */
  async sync(): Promise<string[]> {
    for (const file of this.#open) await file.sync();
    return [...new Set(this.#open.map(({ path }) => path))];
  }

  async commit(): Promise<string[]> {
    for (const file of this.#copies) await file.sync();
    for (const file of this.#copies) await file.commit();
    return [...this.#copies].map(({ path }) => path);
  }

  /** Closes them; a copy without a name is removed. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#open) await file.close();
  }
}
