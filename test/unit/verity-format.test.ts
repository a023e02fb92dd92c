import { expect } from 'chai';
import fc from 'fast-check';
import { VerityError } from '../../lib/verity/error.js';
import { formatSuperblock, parseSuperblock, type Superblock } from '../../lib/verity/superblock.js';
import { treeLayout, treeStart } from '../../lib/verity/tree-layout.js';

const good: Superblock = {
  uuid: '11111111-2222-3333-4444-55555555aAbB'.toLowerCase(),
  hashType: 1,
  hash: 'sha256',
  dataBlockSize: 4096,
  hashBlockSize: 1024,
  dataBlocks: 300,
  salt: Uint8Array.of(1, 2, 3),
};

describe('verity superblock', () => {
  it('is what was written', () => {
    const bytes = formatSuperblock(good);
    expect(bytes.length).to.equal(512);
    expect(parseSuperblock(bytes)).to.deep.equal(good);
    expect(bytes.subarray(0, 16).toString('hex')).to.equal(`7665726974790000${'01000000'.repeat(2)}`);
  });

  // Where, which bytes (hex), and what is said of them.
  const bad: [number, string, string][] = [
    [0, '00', 'No VERITY signature.'],
    [7, '01', 'No VERITY signature.'],
    [8, '02', 'Unsupported VERITY version 2.'],
    [8, 'ffffffff', 'Unsupported VERITY version 4294967295.'],
    [12, '02', 'Unsupported VERITY hash type 2.'],
    [64, '01', 'Unsupported VERITY block size.'],
    [64, '00000000', 'Unsupported VERITY block size.'],
    [64, '00000080', 'Unsupported VERITY block size.'],
    [68, '00010000', 'Unsupported VERITY block size.'],
    [68, '00001000', 'Unsupported VERITY block size.'],
    [32, '00', 'VERITY header corrupted.'],
    [32, '0a', 'VERITY header corrupted.'],
    [32, '61'.repeat(32), 'VERITY header corrupted.'],
    [72, 'ffffffffffffffff', 'Device offset overflow.'],
    [72, '0000000000000200', 'Device offset overflow.'],
    [80, '0101', 'VERITY header corrupted.'],
  ];
  for (const [at, hex, message] of bad)
    it(`refuses ${hex.slice(0, 16)} at ${at}: ${message}`, () => {
      const bytes = formatSuperblock(good);
      bytes.set(Buffer.from(hex, 'hex'), at);
      expect(() => parseSuperblock(bytes)).to.throw(VerityError, message);
    });

  it('refuses fewer bytes than it has', () => {
    expect(() => parseSuperblock(formatSuperblock(good).subarray(0, 511))).to.throw(VerityError, 'No VERITY signature');
  });
  it('refuses to write what cannot be read', () => {
    const wrong: [Partial<Superblock>, string][] = [
      [{ uuid: 'zzz' }, 'Wrong VERITY UUID format'],
      [{ hash: 'x'.repeat(32) }, 'a name of less than 32 bytes'],
      [{ salt: new Uint8Array(257) }, 'at most 256 bytes'],
      [{ dataBlocks: 2 ** 53 }, 'Device offset overflow'],
      [{ dataBlockSize: 1000 }, 'Unsupported VERITY block size'],
    ];
    for (const [change, message] of wrong) expect(() => formatSuperblock({ ...good, ...change })).to.throw(message);
  });
  it('of any bytes is an answer or a VerityError', () => {
    const bytes = fc.uint8Array({ minLength: 504, maxLength: 504 });
    const property = fc.property(bytes, fc.array(fc.tuple(fc.nat(511), fc.nat(255))), (rest, changes) => {
      const start = formatSuperblock(good).subarray(0, 8);
      for (const image of [Buffer.concat([start, rest]), formatSuperblock(good)]) {
        for (const [at, value] of changes) image[at] = value;
        try {
          const { salt, dataBlocks } = parseSuperblock(image);
          expect(salt.length).to.be.at.most(256);
          expect(Number.isSafeInteger(dataBlocks)).to.equal(true);
        } catch (error) {
          expect(error).to.be.instanceOf(VerityError);
        }
      }
    });
    fc.assert(property, { seed: 1, numRuns: 300 });
  });
});

describe('verity tree layout', () => {
  // Data blocks, hash block size, digest size, format; then stride, and first and number of blocks of each level from 0.
  const rows: [number, number, number, 0 | 1, number, [number, number][]][] = [
    [0, 4096, 32, 1, 32, []],
    [1, 4096, 32, 1, 32, []],
    [2, 4096, 32, 1, 32, [[0, 1]]],
    [128, 4096, 32, 1, 32, [[0, 1]]],
    [
      129,
      4096,
      32,
      1,
      32,
      [
        [1, 2],
        [0, 1],
      ],
    ],
    [
      16384,
      4096,
      32,
      1,
      32,
      [
        [1, 128],
        [0, 1],
      ],
    ],
    [
      16385,
      4096,
      32,
      1,
      32,
      [
        [3, 129],
        [1, 2],
        [0, 1],
      ],
    ],
    [
      300,
      4096,
      20,
      1,
      32,
      [
        [1, 3],
        [0, 1],
      ],
    ],
    [
      300,
      4096,
      20,
      0,
      20,
      [
        [1, 3],
        [0, 1],
      ],
    ],
    [
      9,
      512,
      64,
      1,
      64,
      [
        [1, 2],
        [0, 1],
      ],
    ],
    [
      2 ** 30,
      4096,
      32,
      1,
      32,
      [
        [66053, 8388608],
        [517, 65536],
        [5, 512],
        [1, 4],
        [0, 1],
      ],
    ],
  ]; // prettier-ignore
  for (const [dataBlocks, hashBlockSize, digestSize, hashType, stride, levels] of rows)
    it(`${dataBlocks} blocks, hash blocks of ${hashBlockSize}, digests of ${digestSize}, format ${hashType}`, () => {
      const layout = treeLayout({ dataBlocks, hashBlockSize, digestSize, hashType });
      expect(layout.stride).to.equal(stride);
      expect(layout.levels.map(({ first, blocks }) => [first, blocks])).to.deep.equal(levels);
      expect(layout.hashBlocks).to.equal(levels.reduce((sum, [, blocks]) => sum + blocks, 0));
    });

  it('refuses hash blocks of one digest, and what cannot be counted', () => {
    const shape = { dataBlocks: 10, hashBlockSize: 512, digestSize: 512, hashType: 1 as const };
    expect(() => treeLayout(shape)).to.throw(VerityError, 'less than two digests');
    const huge = { dataBlocks: 2 ** 53 - 1, hashBlockSize: 4096, digestSize: 32, hashType: 1 as const };
    expect(() => treeLayout(huge)).to.throw(VerityError, 'Device offset overflow');
  });

  it('starts behind the superblock', () => {
    expect([0, 512, 4096, 4608].map((offset) => treeStart(offset, 4096, true))).to.deep.equal([1, 1, 2, 2]);
    expect([0, 512, 4096, 8192].map((offset) => treeStart(offset, 4096, false))).to.deep.equal([0, 0, 1, 2]);
    expect([0, 512].map((offset) => treeStart(offset, 512, true))).to.deep.equal([1, 2]);
  });
});
