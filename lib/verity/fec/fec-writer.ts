import { isSamePath } from '../../base/file-identity.js';
import { dataEnd } from '../areas.js';
import { BlockFile } from '../block-file.js';
import type { BlockHasherOptions } from '../block-hasher.js';
import { VerityError } from '../error.js';
import type { Tree } from '../parameters.js';
import {
  checkFecArea,
  type FecArea,
  type FecFiles,
  type FecHeader,
  FecImage,
  fecHeader,
  fecLayout,
} from './fec-image.js';
import type { FecLayout } from './fec-layout.js';
import { ParityEncoder } from './parity-encoder.js';
import { ReedSolomon } from './reed-solomon.js';

/** Bytes of what lies behind the tree that are read at a time. */
const pieceSize = 1 << 20;

/** Writes the parity of an image while its tree is made: what is hashed goes to add(), and what is left comes in finish(). */
export class FecWriter {
  readonly layout: FecLayout;
  readonly #image: FecImage;
  readonly #encoder: ParityEncoder;

  private constructor(image: FecImage, engine: BlockHasherOptions['engine']) {
    this.layout = image.layout;
    this.#image = image;
    this.#encoder = new ParityEncoder(image.layout, new ReedSolomon(image.layout.roots, engine));
  }

  /**
   * The FEC file may be the data or the hash file, behind what is in it; a new one has its name when it is committed (commitFiles).
   * @throws VerityError in veritysetup's words, AlgError
   */
  static async open(
    tree: Tree,
    fec: FecArea & { path: string },
    dataFile: BlockFile,
    hashFile: BlockFile,
    engine: BlockHasherOptions['engine'],
  ): Promise<FecWriter> {
    const area = checkFecArea(fec, tree);
    // A hash file that is new has no name yet to be found by.
    const fecFile = (await isSamePath(fec.path, hashFile.path)) ? hashFile : await createFile(fec.path);
    try {
      const hashEnd = (tree.start + tree.layout.hashBlocks) * tree.hashBlockSize;
      const files: FecFiles = { dataFile, hashFile, fecFile };
      const layout = fecLayout(tree, area, files, Math.max(hashFile.size, hashEnd), {
        dataEnd: dataEnd(dataFile, tree),
      });
      return new FecWriter(new FecImage(tree, layout, files, area.offset), engine);
    } catch (error) {
      if (fecFile !== hashFile) await fecFile.close();
      throw error;
    }
  }

  get header(): FecHeader {
    const { files, offset } = this.#image;
    return fecHeader(this.layout, offset, files.fecFile.isSame(files.hashFile));
  }

  /** Data blocks, and behind them hash blocks: TreeWriter's OnBlocks. */
  readonly add = (position: number, bytes: Uint8Array): Promise<void> => this.#encoder.add(position, bytes);

  /** Once the tree is written: adds what lies behind it in the hash file, and writes the parity. */
  async finish(): Promise<void> {
    const { dataBlocks, blockSize, messageSize } = this.layout;
    const { tree, files, offset } = this.#image;
    const treeEnd = (dataBlocks + tree.layout.hashBlocks) * blockSize;
    // A FEC area in the hash file may lie behind its end, and what is between them will be zeroes.
    const end = Math.min(messageSize, (dataBlocks - tree.start) * blockSize + files.hashFile.size);
    const buffer = Buffer.allocUnsafeSlow(pieceSize);
    for (let at = treeEnd; at < end; at += pieceSize) {
      const piece = buffer.subarray(0, end - at);
      await this.#image.read(at, piece);
      await this.#encoder.add(at, piece);
    }
    await this.#encoder.finish({
      read: (position, into) => this.#image.read(position, into),
      take: (position, parity) => files.fecFile.write(parity, offset + position),
    });
  }

  /** What it writes: a file of its own, or one of the others. */
  get file(): BlockFile {
    return this.#image.files.fecFile;
  }

  /** Closes it; a new file that has not been committed is removed. */
  async close(): Promise<void> {
    this.#encoder.close();
    if (this.file !== this.#image.files.hashFile) await this.file.close();
  }
}

async function createFile(path: string): Promise<BlockFile> {
  return BlockFile.create(path).catch((cause: unknown) => {
    if (!(cause instanceof VerityError)) throw cause;
    const words = `Cannot create FEC image ${path} for writing.`;
    throw new VerityError(words, cause.code, cause.detail ?? cause.message, { cause });
  });
}
