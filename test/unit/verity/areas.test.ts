import {
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { VerityError } from '../../../lib/verity/error.js';
import { type FormatOptions, formatVerity } from '../../../lib/verity/format.js';
import { verifyVerity } from '../../../lib/verity/verify.js';
import { fill } from '../../support/veritysetup.js';

interface Row {
  /** Bytes of `data`. */
  size: number;
  options: FormatOptions & { fec?: { path: string; offset?: number; roots?: number } };
  /** Which file gets the tree. Default `data`. */
  hash?: string;
  /** Which two areas overlap; without, it is accepted. */
  refused?:
    | 'Data area overlaps with hash area.'
    | 'Hash area overlaps with FEC area.'
    | 'Data area overlaps with FEC area.';
}

const small = { dataBlockSize: 512, salt: Buffer.alloc(1) };
const same = { ...small, hashBlockSize: 512 };
const dataHash = 'Data area overlaps with hash area.';
const hashFec = 'Hash area overlaps with FEC area.';
const dataFec = 'Data area overlaps with FEC area.';

const rows: Row[] = [
  // Without superblock the tree begins at the offset rounded down.
  { size: 4608, options: { ...small, superblock: false, dataBlocks: 9, hashOffset: 4608 }, refused: dataHash },
  { size: 4608, options: { ...small, superblock: false, dataBlocks: 8, hashOffset: 4608 }, refused: dataHash },
  { size: 4096, options: { ...small, superblock: false, dataBlocks: 8, hashOffset: 4608 } },
  { size: 8192, options: { ...small, superblock: false, dataBlocks: 9, hashOffset: 8192 } },
  { size: 4608, options: { ...same, superblock: false, hashOffset: 4608 } },
  { size: 4608, options: { ...small, dataBlocks: 9, hashOffset: 4608 } },
  // The tail that no block covers.
  { size: 4700, options: { ...small, hashOffset: 4608 }, refused: dataHash },
  { size: 4609, options: { ...small, hashOffset: 4608 }, refused: dataHash },
  { size: 4700, options: { ...small, hashOffset: 5120 } },
  { size: 4700, options: { ...small, dataBlocks: 9, hashOffset: 4608 }, refused: dataHash },
  { size: 5000, options: { ...small, superblock: false, dataBlocks: 9, hashOffset: 4608 }, refused: dataHash },
  // Whole blocks that were left out are room.
  { size: 4700, options: { ...small, dataBlocks: 8, hashOffset: 4096 } },
  { size: 4608, options: { ...small, dataBlocks: 8, hashOffset: 4096 } },
  { size: 4700, options: { ...small, hash: 'sha1', hashOffset: 4608, superblock: false }, refused: dataHash },
  // More blocks than the file has.
  { size: 4608, options: { ...small, dataBlocks: 20, hashOffset: 4608 }, refused: dataHash },
  { size: 4608, options: { ...small, hashOffset: 0 }, refused: dataHash },
  // Parity behind the data, behind the tree.
  { size: 4608, hash: 'hash', options: { ...same, fec: { path: 'data', offset: 4608 } } },
  { size: 4608, hash: 'hash', options: { ...same, fec: { path: 'data', offset: 4096 } }, refused: dataFec },
  { size: 4609, hash: 'hash', options: { ...same, fec: { path: 'data', offset: 4608 } }, refused: dataFec },
  {
    size: 4609,
    hash: 'hash',
    options: { ...same, dataBlocks: 9, fec: { path: 'data', offset: 4608 } },
    refused: dataFec,
  },
  { size: 4609, hash: 'hash', options: { ...same, dataBlocks: 8, fec: { path: 'data', offset: 4096 } } },
  { size: 4608, hash: 'data', options: { ...same, hashOffset: 4608, fec: { path: 'data', offset: 5632 } } },
  {
    size: 4608,
    hash: 'data',
    options: { ...same, hashOffset: 4608, fec: { path: 'data', offset: 5120 } },
    refused: hashFec,
  },
  { size: 4608, hash: 'data', options: { ...same, hashOffset: 4608, fec: { path: 'data' } }, refused: hashFec },
  { size: 4608, hash: 'hash', options: { ...same, fec: { path: 'hash', offset: 512 } }, refused: hashFec },
  { size: 4608, hash: 'hash', options: { ...same, fec: { path: 'hash', offset: 1024 } } },
  // Other names of one file.
  {
    size: 4608,
    hash: 'link',
    options: { ...small, superblock: false, dataBlocks: 9, hashOffset: 4608 },
    refused: dataHash,
  },
  { size: 4608, hash: 'symlink', options: { ...small, hashOffset: 4096 }, refused: dataHash },
  { size: 4608, hash: 'hash', options: { ...same, fec: { path: 'link', offset: 4096 } }, refused: dataFec },
];

describe('verity areas', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-areas-'));
  after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);

  /** Formats `data` in an empty folder. Returns its bytes before and after, and the error. */
  async function format({ size, options, hash = 'data' }: Row) {
    for (const name of readdirSync(folder)) rmSync(path(name));
    const before = fill(size, size);
    writeFileSync(path('data'), before);
    linkSync(path('data'), path('link'));
    symlinkSync('data', path('symlink'));
    const fec = options.fec && { ...options.fec, path: path(options.fec.path) };
    const given = { ...options, provider: 'library' as const, ...(fec && { fec }) };
    const names = readdirSync(folder);
    let error: unknown;
    const image = await formatVerity(path('data'), path(hash), given).catch((thrown: unknown) => {
      error = thrown;
      return undefined;
    });
    return { before, after: readFileSync(path('data')), image, error, names };
  }

  for (const row of rows)
    it(`${row.refused ? 'refuses' : 'accepts'} ${JSON.stringify({ ...row, options: { ...row.options, salt: undefined } })}`, async () => {
      const { before, after, image, error, names } = await format(row);
      if (row.refused) {
        expect(error).to.be.instanceOf(VerityError).with.property('message', row.refused);
        expect(after.equals(before)).to.equal(true);
        expect(readdirSync(folder)).to.deep.equal(names);
        return;
      }
      expect(error).to.equal(undefined);
      const end = image!.dataBlocks * image!.dataBlockSize;
      expect(after.subarray(0, end).equals(before.subarray(0, end))).to.equal(true);
      const { rootHash, dataBlocks } = image!;
      const { salt, fec, ...options } = row.options;
      const found = await verifyVerity(path('data'), path(row.hash ?? 'data'), rootHash, {
        ...options,
        dataBlocks,
        salt: salt!,
        ...(fec && { fec: { ...fec, path: path(fec.path) } }),
      });
      expect(found.good).to.equal(true);
    });

  it('format never changes what the data file holds below the hash offset, nor data', async () => {
    const sizes = fc.constantFrom(512, 1024, 4096);
    let [refused, written] = [0, 0];
    const property = fc.asyncProperty(
      fc.record({
        size: fc.integer({ min: 512, max: 20_000 }),
        dataBlockSize: sizes,
        hashBlockSize: sizes,
        dataBlocks: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
        hashSector: fc.integer({ min: 0, max: 60 }),
        superblock: fc.boolean(),
        hashType: fc.constantFrom<0 | 1>(0, 1),
        fecSector: fc.option(fc.integer({ min: 0, max: 80 }), { nil: undefined }),
      }),
      async ({ size, dataBlocks, hashSector, fecSector, ...rest }) => {
        const hashOffset = hashSector * 512;
        const fecOffset = fecSector === undefined ? undefined : fecSector * 512;
        const options = {
          ...rest,
          hashOffset,
          salt: Buffer.alloc(0),
          ...(dataBlocks && { dataBlocks }),
          ...(fecOffset !== undefined && { fec: { path: 'data', offset: fecOffset } }),
        };
        const { before, after, image } = await format({ size, options });
        if (!image) {
          expect(after.equals(before)).to.equal(true);
          refused++;
          return;
        }
        const kept = Math.min(size, Math.max(hashOffset, image.dataBlocks * image.dataBlockSize), fecOffset ?? size);
        expect(after.subarray(0, kept).equals(before.subarray(0, kept))).to.equal(true);
        if (size - image.dataBlocks * image.dataBlockSize < image.dataBlockSize)
          expect(after.subarray(0, size).equals(before)).to.equal(true);
        const { fec: _, ...given } = options as FormatOptions;
        const found = await verifyVerity(path('data'), path('data'), image.rootHash, {
          ...given,
          dataBlocks: image.dataBlocks,
          ...(fecOffset !== undefined && { fec: { path: path('data'), offset: fecOffset } }),
        });
        expect(found.good).to.equal(true);
        written++;
      },
    );
    await fc.assert(property, { seed: 3, numRuns: 800 });
    expect(Math.min(refused, written)).to.be.above(20);
  });

  it('a hash area smaller than a data block may be written again', async () => {
    const options = { dataBlocks: 2, hashBlockSize: 512, hashOffset: 8192, salt: Buffer.alloc(0) };
    const { image } = await format({ size: 8192, options });
    const again = await formatVerity(path('data'), path('data'), { ...options, uuid: image!.uuid! });
    expect(again).to.deep.equal(image);
    expect(statSync(path('data')).size).to.equal(8192 + 1024);
  });

  it('an image of one block, without a tree, is as long as the kernel wants it, and verifies', async () => {
    for (const superblock of [true, false])
      for (const [size, hash] of [
        [4096, 'data'],
        [4096, 'hash'],
        [4096 + 4700, 'data'],
      ] as const) {
        const hashOffset = hash === 'data' ? 4096 : 0;
        const options = { dataBlocks: 1, hashOffset, superblock, salt: Buffer.alloc(0) };
        const { image, before, after } = await format({ size, hash, options });
        if (superblock)
          expect(statSync(path(hash)).size).to.equal(Math.max(image!.hashEnd, hash === 'data' ? size : 0));
        expect(after.subarray(4608, size).equals(before.subarray(4608))).to.equal(true);
        const found = await verifyVerity(path('data'), path(hash), image!.rootHash, options);
        expect(found.good).to.equal(true);
      }
  });
});
