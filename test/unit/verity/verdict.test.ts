import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { FecInput } from '../../../lib/verity/fec/open-fec-image.js';
import { formatVerity } from '../../../lib/verity/format.js';
import { type Repair, repairVerity } from '../../../lib/verity/repair.js';
import { type Verification, verifyVerity } from '../../../lib/verity/verify.js';
import { fill, generator } from '../../support/veritysetup.js';

const areas = ['data', 'hash', 'fec'] as const;
type Area = (typeof areas)[number];
type Files = Record<Area, Buffer>;

/** An image in a folder of its own, and what is said of it. */
class Image {
  private constructor(
    readonly folder: string,
    readonly size: number,
    readonly rootHash: Buffer,
    readonly fec: FecInput,
    readonly right: Files,
  ) {}

  static async make(
    folder: string,
    { blocks = 250, size = 512, roots = 2, behind = 0, isEmpty = false, zeroes = 0, hashType = 1 as 0 | 1 } = {},
  ): Promise<Image> {
    const path = (name: string) => join(folder, name);
    for (const area of areas) rmSync(path(area), { force: true });
    writeFileSync(path('data'), Buffer.concat([fill((blocks - zeroes) * size, blocks), Buffer.alloc(zeroes * size)]));
    // The hash file may be longer than its tree: FEC covers that, too.
    if (behind > 0) writeFileSync(path('hash'), isEmpty ? Buffer.alloc(behind * size) : fill(behind * size, 7));
    const shape = { dataBlockSize: size, hashBlockSize: size, hashType, salt: Buffer.alloc(1) };
    const { rootHash } = await formatVerity(path('data'), path('hash'), {
      ...shape,
      fec: { path: path('fec'), roots },
    });
    const file = (area: Area) => readFileSync(path(area));
    const right = { data: file('data'), hash: file('hash'), fec: file('fec') };
    return new Image(folder, size, rootHash, { path: path('fec'), roots }, right);
  }

  path(area: Area): string {
    return join(this.folder, area);
  }
  write(files: Partial<Files>): void {
    for (const area of areas) writeFileSync(this.path(area), files[area] ?? this.right[area]);
  }
  read(): Files {
    const file = (area: Area) => readFileSync(this.path(area));
    return { data: file('data'), hash: file('hash'), fec: file('fec') };
  }
  isRight(): boolean {
    const now = this.read();
    return areas.every((area) => now[area].equals(this.right[area]));
  }

  verify(): Promise<Verification> {
    return verifyVerity(this.path('data'), this.path('hash'), this.rootHash, { fec: this.fec });
  }
  repair(to: 'dry-run' | 'in-place'): Promise<Repair> {
    return repairVerity(this.path('data'), this.path('hash'), this.rootHash, { fec: this.fec, to });
  }

  /**
   * The verdict, which is the same of `verify --fec-device`, of `repair --dry-run`, and of `repair` and `verify` after it. In that order, so the image is mended then.
   * A repair that refuses the image says that it is bad.
   */
  async verdict(): Promise<boolean> {
    const refused = (error: { code: string }) => {
      expect(error.code).to.equal('EPERM');
      return undefined;
    };
    const found = await this.verify().catch(refused);
    const dry = await this.repair('dry-run').catch(refused);
    const before = this.read();
    const real = await this.repair('in-place').catch(refused);
    const good = found ? found.good || found.fec!.good : false;
    expect({ dry: dry?.good ?? false, real: real?.good ?? false }).to.deep.equal({ dry: good, real: good });
    if (dry && real)
      expect({ mended: dry.mended, left: dry.left, unjudged: dry.unjudged }).to.deep.equal({
        mended: real.mended,
        left: real.left,
        unjudged: real.unjudged,
      });
    const plain = await verifyVerity(this.path('data'), this.path('hash'), this.rootHash).catch(() => undefined);
    expect(plain?.good ?? false, 'verify after repair').to.equal(good);
    // Whatever repair says, each block of data and tree is what it was or what it ought to be.
    const now = this.read();
    for (const area of ['data', 'hash'] as const)
      for (let at = 0; at < this.right[area].length; at += this.size) {
        const block = (bytes: Buffer) => bytes.subarray(at, at + this.size);
        const old = Buffer.alloc(this.size); // what was cut off may be a hole now
        block(before[area]).copy(old);
        const isKnown = [block(this.right[area]), block(before[area]), old].some((bytes) =>
          block(now[area]).equals(bytes),
        );
        expect(isKnown, `${area} at ${at}`).to.equal(true);
      }
    return good;
  }
}

describe('verity verdict with FEC', function () {
  this.timeout(600_000);
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-verdict-'));
  after(() => rmSync(folder, { recursive: true }));

  /** `bytes` of these blocks from `from` on change. */
  const spoilt = (files: Files, size: number, area: Area, blocks: number[], bytes = size, from = 0): Files => {
    const changed = { ...files, [area]: Buffer.from(files[area]) };
    for (const block of blocks)
      for (let at = block * size + from; at < block * size + from + bytes; at++) changed[area][at]! ^= 0x5a;
    return changed;
  };

  it('takes three errors in a word of two roots for what they are: the code finds a word nearby that is another', async () => {
    const image = await Image.make(folder, { size: 4096 });
    const damaged = spoilt(image.right, 4096, 'data', [10, 20, 30], 1);
    image.write(damaged);
    const found = await image.verify();
    expect([found.good, found.fec!.good, found.fec!.left.data]).to.deep.equal([false, false, 3]);
    expect(await image.verdict()).to.equal(false);
    expect(image.read().data.equals(damaged.data)).to.equal(true);
  });

  it('mends two whole blocks of a set of two roots, as erasures', async () => {
    const image = await Image.make(folder, { size: 4096 });
    image.write(spoilt(image.right, 4096, 'data', [10, 11]));
    const { fec, bad } = await image.verify();
    expect(fec).to.deep.include({ good: true, mended: { data: 2, hash: 0, fec: 0 } });
    expect(bad.map(({ block }) => block)).to.deep.equal([10, 11]);
    expect(await image.verdict()).to.equal(true);
    expect(image.isRight()).to.equal(true);
  });

  it('mends more blocks of a set than there are roots, where no word has more errors than half of them', async () => {
    const image = await Image.make(folder, { blocks: 230 });
    let files = image.right;
    for (let block = 0; block < 20; block++) files = spoilt(files, 512, 'data', [block * 11], 1, block * 7);
    image.write(files);
    const { fec } = await image.verify();
    expect(fec).to.deep.include({ good: true, repairable: 20, mended: { data: 20, hash: 0, fec: 0 } });
    expect(await image.verdict()).to.equal(true);
    expect(image.isRight()).to.equal(true);
  });

  it('says of blocks below a bad hash block that they are not judged, and counts only what is bad as left', async () => {
    // 16 digests in a hash block; blocks 160 to 175 are below the 11th of level 0.
    const image = await Image.make(folder, { blocks: 230, size: 512 });
    const level0 = image.right.hash.length / 512 - 15;
    // Three bad blocks in one set, of two roots.
    image.write({
      ...spoilt(spoilt(image.right, 512, 'hash', [level0 + 10]), 512, 'data', [3, 4]),
    });
    const { left, unjudged, blocks, good } = await image.repair('dry-run');
    expect({ left, unjudged, good }).to.deep.equal({
      left: { data: 2, hash: 1, fec: 0 },
      unjudged: { data: 16, hash: 0 },
      good: false,
    });
    expect(blocks.map(({ area, block, outcome }) => [area, block, outcome])).to.have.deep.members([
      ['hash', level0 + 10, 'left'],
      ['data', 3, 'left'],
      ['data', 4, 'left'],
    ]);
    const found = await image.verify();
    expect([found.unverifiableDataBlocks, found.badDataBlocks, found.badHashBlocks]).to.deep.equal([16, 2, 1]);
    expect(await image.verdict()).to.equal(false);
  });

  it('has the same verdict after random damage, of verify, of a dry run, of a repair, and of verify after that', async () => {
    const random = generator(11);
    const counts = { good: 0, bad: 0 };
    for (let round = 0; round < 80; round++) {
      const roots = [2, 3, 8, 24][random() % 4]!;
      const blocks = 1 + (random() % 700);
      const behind = random() % 3 === 0 ? random() % 90 : 0;
      const image = await Image.make(folder, { blocks, roots, behind, hashType: (random() % 2) as 0 | 1 });
      const files = { ...image.right };
      for (const area of areas) files[area] = Buffer.from(files[area]);
      for (let hits = random() % (2 * roots + 2); hits > 0; hits--) {
        const area = areas[random() % 3]!;
        const first = area === 'hash' ? 1 : 0;
        const count = files[area].length / 512 - first;
        if (count < 1) continue;
        const at = (first + (random() % count)) * 512;
        const from = random() % 2 ? 0 : random() % 512;
        const to = random() % 2 ? 512 : from + 1;
        for (let byte = from; byte < to; byte++) files[area][at + byte]! ^= 1 + (random() % 255);
      }
      // And some that end too soon.
      for (const area of areas)
        if (random() % 6 === 0 && files[area].length > 1024)
          files[area] = files[area].subarray(
            0,
            files[area].length - (random() % Math.min(1500, files[area].length - 520)),
          );
      image.write(files);
      counts[(await image.verdict()) ? 'good' : 'bad']++;
    }
    expect(Math.min(counts.good, counts.bad)).to.be.above(12);
  });

  it('has the same verdict where data, tree and parity are in one file, which may end too soon', async () => {
    const random = generator(12);
    const counts = { good: 0, bad: 0 };
    const path = join(folder, 'one');
    for (let round = 0; round < 60; round++) {
      const blocks = 2 + (random() % 600);
      const roots = [2, 4, 24][random() % 3]!;
      const hashOffset = blocks * 512;
      const fec = {
        path,
        roots,
        offset: hashOffset + 512 * (2 + Math.ceil(blocks / 16) + Math.ceil(blocks / 256) + 4),
      };
      writeFileSync(path, fill(hashOffset, round));
      const shape = {
        dataBlockSize: 512,
        hashBlockSize: 512,
        dataBlocks: blocks,
        hashOffset,
        salt: Buffer.alloc(1),
        fec,
      };
      const { rootHash } = await formatVerity(path, path, shape);
      const right = readFileSync(path);
      const files = Buffer.from(right);
      for (let hits = random() % (2 * roots); hits > 0; hits--) {
        const at = random() % right.length;
        // Not the superblock, which no parity covers.
        if (at >= hashOffset && at < hashOffset + 512) continue;
        const length = random() % 2 ? 1 : Math.min(512, hashOffset - at);
        for (let byte = at; byte < at + length; byte++) files[byte]! ^= 1 + (random() % 255);
      }
      const cut = random() % 4 === 0 ? random() % 1200 : 0;
      writeFileSync(path, files.subarray(0, files.length - cut));
      const options = { hashOffset, fec };
      const found = await verifyVerity(path, path, rootHash, options);
      const good = found.good || found.fec!.good;
      counts[good ? 'good' : 'bad']++;
      const repair = (to: 'dry-run' | 'in-place') => repairVerity(path, path, rootHash, { ...options, to });
      const outcome = async (to: 'dry-run' | 'in-place') => (await repair(to).catch(() => undefined))?.good ?? false;
      expect([await outcome('dry-run'), await outcome('in-place')]).to.deep.equal([good, good]);
      expect((await verifyVerity(path, path, rootHash, { hashOffset })).good).to.equal(good);
      const now = readFileSync(path);
      if (good) expect(now.subarray(0, hashOffset).equals(right.subarray(0, hashOffset))).to.equal(true);
    }
    expect(Math.min(counts.good, counts.bad)).to.be.above(8);
  });

  describe('of files that end too soon', () => {
    const cuts = (length: number) => [1, 2, 3, 255, 256, 511, 512, 513, 700, 1024].map((cut) => length - cut);

    for (const [area, least] of [
      ['data', 0],
      ['hash', 1024],
      ['fec', 0],
    ] as const)
      it(`mends all of ${area}, cut at any byte, that FEC covers`, async () => {
        for (const [behind, zeroes] of [
          [0, 0],
          [0, 3],
        ] as const) {
          const image = await Image.make(folder, { blocks: 240, roots: 4, behind, zeroes });
          for (const size of cuts(image.right[area].length).filter((bytes) => bytes >= least)) {
            image.write({});
            truncateSync(image.path(area), size);
            expect(await image.verdict(), `${size} bytes`).to.equal(true);
            expect(image.isRight(), `${size} bytes`).to.equal(true);
          }
        }
      });

    it('makes all of the parity again where the image is right', async () => {
      const image = await Image.make(folder, { blocks: 600, roots: 3 });
      for (let size = 0; size < image.right.fec.length; size += 97) {
        image.write({});
        truncateSync(image.path('fec'), size);
        const found = await image.verify();
        expect([found.good, found.fec!.mended.fec > 0], `${size} bytes`).to.deep.equal([true, true]);
        expect((await image.repair('in-place')).good).to.equal(true);
        expect(image.isRight(), `${size} bytes`).to.equal(true);
      }
    });

    it('makes parity again that is nothing but zeroes', async () => {
      // 512 digests in a hash block: the one set has data of zeroes alone.
      const size = 16384;
      const image = await Image.make(folder, { blocks: 500, zeroes: 500, size });
      expect(image.right.fec.subarray(2 * size).every((byte) => byte === 0)).to.equal(true);
      truncateSync(image.path('fec'), 2 * size);
      expect((await image.verify()).fec!.mended.fec).to.equal(2);
      expect(await image.verdict()).to.equal(true);
      expect(image.isRight()).to.equal(true);
    });

    it('mends with what is left of the parity, byte by byte', async () => {
      const image = await Image.make(folder, { blocks: 230, roots: 2 });
      // The byte of word 200 of one block: its parity is at 400 and 401.
      for (const [size, isMended] of [
        [1023, true],
        [500, true],
        [402, true],
        [401, false],
        [400, false],
        [0, false],
      ] as const) {
        image.write(spoilt(image.right, 512, 'data', [9], 1, 200));
        truncateSync(image.path('fec'), size);
        expect(await image.verdict(), `${size} bytes`).to.equal(isMended);
        expect(image.isRight()).to.equal(isMended);
      }
    });

    it('knows from the FEC file how many sets there were, where the hash file was longer than its tree', async () => {
      const image = await Image.make(folder, { blocks: 240, roots: 4, behind: 60, isEmpty: true });
      image.write(spoilt(image.right, 512, 'data', [100]));
      // Within the last block of the tree.
      truncateSync(image.path('hash'), 512 * 17 - 5);
      expect((await image.repair('in-place')).good).to.equal(true);
      expect(image.read().data.equals(image.right.data)).to.equal(true);
      expect((await verifyVerity(image.path('data'), image.path('hash'), image.rootHash)).good).to.equal(true);
    });
  });

  it('takes parity that ends elsewhere, where the blocks it covers are given', async () => {
    const image = await Image.make(folder, { blocks: 230, roots: 2 });
    const longer = Buffer.concat([image.right.hash, Buffer.alloc(100 * 512)]);
    const hash = spoilt(image.right, 512, 'hash', [2]).hash;
    for (const files of [{ hash: longer }, { hash: Buffer.concat([hash, Buffer.alloc(100 * 512)]) }]) {
      image.write({ ...files, ...spoilt({ ...image.right, ...files }, 512, 'data', [0, 7]) });
      expect(await image.verdict()).to.equal(false);
      const blocks = 230 + image.right.hash.length / 512 - 1;
      const told = Object.assign(Object.create(image) as Image, { fec: { ...image.fec, blocks } });
      const isWithin = files.hash === longer;
      expect(await told.verdict()).to.equal(isWithin);
      expect(image.read().data.equals(image.right.data)).to.equal(isWithin);
    }
    let message = '';
    const short = Object.assign(Object.create(image) as Image, { fec: { ...image.fec, blocks: 230 } });
    await short.repair('dry-run').catch((error) => (message = `${error.message} ${error.detail}`));
    expect(message).to.match(/Invalid FEC segment length. --fec-blocks: expected at least 246/);
  });

  it('leaves parity alone where a block that no digest judges may be what is wrong', async () => {
    const image = await Image.make(folder, { blocks: 200, roots: 4, behind: 40 });
    const last = image.right.hash.length / 512 - 1;
    const damaged = spoilt(spoilt(image.right, 512, 'hash', [last]), 512, 'data', [7]);
    image.write(damaged);
    const { good, unjudgedParity, mended } = await image.repair('in-place');
    expect({ good, unjudgedParity, mended }).to.deep.equal({
      good: true,
      unjudgedParity: 1,
      mended: { data: 1, hash: 0, fec: 0 },
    });
    const now = image.read();
    expect(now.fec.equals(image.right.fec) && now.hash.equals(damaged.hash)).to.equal(true);
  });

  it('is bad of a tree with something in its spare area, which no FEC takes away', async () => {
    const image = await Image.make(folder, { blocks: 240, roots: 2 });
    const { rootHash } = image;
    // The same tree is one of fewer blocks, too, but for what it has behind them.
    const options = { dataBlocks: 230, superblock: false, dataBlockSize: 512, hashBlockSize: 512, hashOffset: 512 };
    const given = { ...options, salt: Buffer.alloc(1), fec: image.fec };
    const found = await verifyVerity(image.path('data'), image.path('hash'), rootHash, given);
    const repair = await repairVerity(image.path('data'), image.path('hash'), rootHash, { ...given, to: 'dry-run' });
    expect([found.good, found.fec!.good, repair.good, repair.left.hash]).to.deep.equal([false, false, false, 1]);
    expect(found.bad.map(({ reason }) => reason)).to.deep.equal(['spare']);
  });
});
