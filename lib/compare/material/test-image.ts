import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sectorSize } from '../../dm/bio.js';
import { formatVerity, type VerityImage } from '../../verity/format.js';
import { fill } from './fill.js';

const blockSize = 4096;

export interface TestImageShape {
  /** Bytes: whole blocks of 4096. */
  size: number;
  /** Blocks of zeroes. */
  zeroes?: readonly number[];
  /** Roots of FEC; none without. */
  roots?: number;
}

/** A verity image of random bytes in files `data`, `hash` and `fec` of a folder, and table lines of it. */
export class TestImage {
  private constructor(
    readonly folder: string,
    /** What is right. */
    readonly bytes: Buffer,
    readonly image: VerityImage,
  ) {}

  static async make(folder: string, { size, zeroes = [], roots }: TestImageShape): Promise<TestImage> {
    const bytes = fill(Buffer.alloc(size), 5) as Buffer;
    for (const block of zeroes) bytes.fill(0, block * blockSize, (block + 1) * blockSize);
    await writeFile(join(folder, 'data'), bytes);
    const image = await formatVerity(join(folder, 'data'), join(folder, 'hash'), {
      salt: Buffer.alloc(0),
      ...(roots !== undefined && { fec: { path: join(folder, 'fec'), roots } }),
    });
    return new TestImage(folder, bytes, image);
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  /** The optional arguments for its FEC. */
  get fec(): string[] {
    const { dataBlocks, hashBlocks, fec } = this.image;
    const words = `fec_blocks ${dataBlocks + hashBlocks} fec_start 0 fec_roots ${fec!.roots}`;
    return ['use_fec_from_device', join(this.folder, 'fec'), ...words.split(' ')];
  }

  /** A table line, on this data. */
  line(data: string, options: readonly string[] = []): string {
    const { dataBlocks, rootHash } = this.image;
    const numbers = `${blockSize} ${blockSize} ${dataBlocks} 1`;
    const optional = options.length ? ` ${options.length} ${options.join(' ')}` : '';
    const root = rootHash.toString('hex');
    const start = `0 ${this.bytes.length / sectorSize} verity 1 ${data} ${join(this.folder, 'hash')}`;
    return `${start} ${numbers} sha256 ${root} -${optional}`;
  }

  /** Writes the data once more, with every byte of these blocks changed. Returns the path. */
  async spoilt(name: string, blocks: readonly number[]): Promise<string> {
    const bytes = Buffer.from(this.bytes);
    for (const block of blocks) for (let at = block * blockSize; at < (block + 1) * blockSize; at++) bytes[at]! ^= 0x55;
    const path = join(this.folder, name);
    await writeFile(path, bytes);
    return path;
  }
}
