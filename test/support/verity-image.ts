import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FormatOptions, formatVerity } from '../../lib/verity/format.js';
import { randomBytes } from './random-bytes.js';

export interface ImageShape {
  blocks: number;
  dataBlockSize?: number;
  hashBlockSize?: number;
  hash?: string;
  hashType?: 0 | 1;
  salt?: string;
  /** Roots of FEC; none without. */
  roots?: number;
  /** Blocks of zeroes. */
  zeroes?: number[];
}

/** A verity image in files `data`, `hash` and `fec` of a folder, and table lines of it. */
export class VerityTestImage {
  private constructor(
    readonly folder: string,
    readonly shape: Required<Omit<ImageShape, 'roots' | 'zeroes'>> & Pick<ImageShape, 'roots'>,
    readonly rootHash: Buffer,
    /** What is right. */
    readonly bytes: Buffer,
    readonly hashBlocks: number,
    readonly fecBlocks: number,
  ) {}

  static async make(folder: string, given: ImageShape): Promise<VerityTestImage> {
    const { zeroes = [], ...wanted } = given;
    const shape = {
      dataBlockSize: 4096,
      hashBlockSize: 4096,
      hash: 'sha256',
      hashType: 1 as const,
      salt: '00ff5a',
      ...wanted,
    };
    const { dataBlockSize: size, hashBlockSize, hash, hashType, salt, roots, blocks } = shape;
    const bytes = randomBytes(`${blocks} blocks`, blocks * size);
    for (const block of zeroes) bytes.fill(0, block * size, (block + 1) * size);
    writeFileSync(join(folder, 'data'), bytes);
    const options: FormatOptions = {
      dataBlockSize: size,
      hashBlockSize,
      hash,
      hashType,
      salt: Buffer.from(salt, 'hex'),
    };
    if (roots) options.fec = { path: join(folder, 'fec'), roots };
    const image = await formatVerity(join(folder, 'data'), join(folder, 'hash'), options);
    const hashFileBlocks = readFileSync(join(folder, 'hash')).length / hashBlockSize;
    const fecBlocks = blocks + hashFileBlocks - Math.ceil(512 / hashBlockSize);
    return new VerityTestImage(folder, shape, image.rootHash, bytes, image.hashBlocks, fecBlocks);
  }

  path(name: 'data' | 'hash' | 'fec'): string {
    return join(this.folder, name);
  }

  /** Its line, on these devices (its files, if not given), with FEC where it has some and `fec` is not false. */
  line(
    options: readonly string[] = [],
    { data = this.path('data'), hash = this.path('hash'), fec = this.path('fec') as string | false } = {},
  ): string {
    const { blocks, dataBlockSize, hashBlockSize, hash: name, hashType, salt, roots } = this.shape;
    const start = Math.ceil(512 / hashBlockSize);
    const words = [...options];
    if (roots && fec !== false)
      words.push(
        'use_fec_from_device',
        fec,
        'fec_blocks',
        `${this.fecBlocks}`,
        'fec_start',
        '0',
        'fec_roots',
        `${roots}`,
      );
    const optional = words.length ? ` ${words.length} ${words.join(' ')}` : '';
    const root = this.rootHash.toString('hex');
    return `0 ${(blocks * dataBlockSize) / 512} verity ${hashType} ${data} ${hash} ${dataBlockSize} ${hashBlockSize} ${blocks} ${start} ${name} ${root} ${salt || '-'}${optional}`;
  }

  /** Changes bytes of a block in a file; of the hash file it is counted from the start of the tree. */
  spoil(name: 'data' | 'hash' | 'fec', block: number, count = 3): void {
    const { dataBlockSize, hashBlockSize } = this.shape;
    const size = name === 'hash' ? hashBlockSize : dataBlockSize;
    const start = name === 'hash' ? Math.ceil(512 / hashBlockSize) : 0;
    const file = readFileSync(this.path(name));
    for (let index = 0; index < count; index++) file[(start + block) * size + index]! ^= 0x55;
    writeFileSync(this.path(name), file);
  }
}
