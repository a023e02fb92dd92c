import { checkAborted } from '../base/abort.js';
import { fileIdentity } from '../base/file-identity.js';
import { BlockFile, commitFiles } from './block-file.js';
import type { FecFiles } from './fec/fec-image.js';

/** Files that the mended image is written to, where it is not mended in place: each appears complete, or not at all. */
export interface RepairOutput {
  data: string;
  /** Of a hash and of a FEC file that is none of the others. */
  hash?: string;
  fec?: string;
}

/** The files in use, and which of them are copies that are to have a name. */
export class OpenFiles {
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
    await checkDistinct(to);
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
    await commitFiles(this.#copies);
    return [...this.#copies].map(({ path }) => path);
  }

  /** Closes them; a copy without a name is removed. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.#open) await file.close();
  }
}

/** One of them would overwrite another when they get their names. @throws an error whose code is EEXIST */
async function checkDistinct({ data, hash, fec }: RepairOutput): Promise<void> {
  const paths = [data, hash, fec].filter((path) => path !== undefined);
  const identities = await Promise.all(paths.map(fileIdentity));
  const again = paths.find((_, index) => identities.indexOf(identities[index]!) < index);
  if (again !== undefined)
    throw Object.assign(new Error(`${again} is the output of two files; name each one`), { code: 'EEXIST' });
}

/** Bytes copied at a time. */
const pieceSize = 1 << 20;
const zeroes = Buffer.alloc(pieceSize);

/** Copies a file or a device into a new file. What is zero becomes a hole. @throws AbortError, the system's error */
async function copyFile(from: BlockFile, to: BlockFile, signal?: AbortSignal): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(pieceSize);
  for (let position = 0; position < from.size; position += pieceSize) {
    checkAborted(signal);
    const piece = buffer.subarray(0, Math.min(pieceSize, from.size - position));
    await from.read(piece, position);
    const isLast = position + piece.length === from.size;
    if (isLast || !piece.equals(zeroes.subarray(0, piece.length))) await to.write(piece, position);
  }
}
