import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { formatVerity } from '../../lib/verity/format.js';
import { type Repair, type RepairOptions, repairVerity } from '../../lib/verity/repair.js';
import { verifyVerity } from '../../lib/verity/verify.js';
import { seeded } from '../support/manual-engine.js';

const blockSize = 512;
const areas = ['data', 'hash', 'fec'] as const;
type Files = Record<(typeof areas)[number], Buffer>;

describe('verity repair', function () {
  this.timeout(600_000);
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-repair-'));
  after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  const read = (): Files => ({ data: file('data'), hash: file('hash'), fec: file('fec') });
  const file = (name: string) => readFileSync(path(name));
  const write = (files: Files) => {
    for (const area of areas) writeFileSync(path(area), files[area]);
  };
  let rootHash: Buffer;
  let roots: number;
  let right: Files;

  async function make(blocks: number, withRoots: number, random: () => number): Promise<void> {
    for (const name of readdirSync(folder)) rmSync(path(name));
    roots = withRoots;
    writeFileSync(path('data'), Buffer.from(Array.from({ length: blocks * blockSize }, () => random() * 256)));
    const shape = { dataBlockSize: blockSize, hashBlockSize: blockSize, salt: Buffer.from('salt') };
    const image = await formatVerity(path('data'), path('hash'), { ...shape, fec: { path: path('fec'), roots } });
    rootHash = image.rootHash;
    right = read();
  }
  const repair = (to: RepairOptions['to'], more: Partial<RepairOptions> = {}) =>
    repairVerity(path('data'), path('hash'), rootHash, { fec: { path: path('fec'), roots }, to, ...more });
  const counts = ({ good, mended, left, unjudgedParity }: Repair) => ({ good, mended, left, unjudgedParity });

  /** Blocks of an image, by area; never the superblock, which FEC does not cover. */
  function spoil(files: Files, area: (typeof areas)[number], block: number, random: () => number): void {
    const at = block * blockSize;
    for (let byte = at; byte < at + blockSize; byte++) files[area][byte]! ^= 1 + Math.floor(random() * 255);
  }
  const copy = (files: Files): Files => ({
    data: Buffer.from(files.data),
    hash: Buffer.from(files.hash),
    fec: Buffer.from(files.fec),
  });

  it('mends as many blocks of a set as there are roots, wherever they are', async () => {
    const random = seeded(1);
    for (const withRoots of [2, 5, 24]) {
      await make(700, withRoots, random);
      const spoiled = copy(right);
      const rounds = right.fec.length / blockSize / roots;
      // Rows 0, 1, ... of set 0, and of the last one.
      for (let row = 0; row < roots; row++) {
        spoil(spoiled, 'data', row * rounds, random);
        spoil(spoiled, 'data', row * rounds + rounds - 1, random);
      }
      write(spoiled);
      expect((await verifyVerity(path('data'), path('hash'), rootHash)).badDataBlocks).to.equal(2 * roots);
      const result = await repair('in-place');
      expect(counts(result)).to.deep.equal({
        good: true,
        mended: { data: 2 * roots, hash: 0, fec: 0 },
        left: { data: 0, hash: 0, fec: 0 },
        unjudgedParity: 0,
      });
      expect(read()).to.deep.equal(right);
    }
  });

  it('mends the tree from its top down, and what only then can be judged', async () => {
    const random = seeded(2);
    await make(900, 4, random);
    const spoiled = copy(right);
    const hashBlocks = right.hash.length / blockSize;
    spoil(spoiled, 'hash', 1, random);
    spoil(spoiled, 'hash', 2, random);
    spoil(spoiled, 'hash', hashBlocks - 1, random);
    for (const block of [0, 17, 450, 899]) spoil(spoiled, 'data', block, random);
    spoiled.fec[9 * blockSize]! ^= 1; // a whole block of it would be all parity of its words
    write(spoiled);
    const result = await repair('in-place');
    expect(counts(result)).to.deep.equal({
      good: true,
      mended: { data: 4, hash: 3, fec: 1 },
      left: { data: 0, hash: 0, fec: 0 },
      unjudgedParity: 0,
    });
    expect(read()).to.deep.equal(right);
    expect(counts(await repair('dry-run')).mended).to.deep.equal({ data: 0, hash: 0, fec: 0 });
  });

  it('writes nothing in a dry run, and says the same', async () => {
    const random = seeded(3);
    await make(300, 2, random);
    const spoiled = copy(right);
    spoil(spoiled, 'hash', 4, random);
    spoil(spoiled, 'data', 40, random);
    spoil(spoiled, 'fec', 0, random);
    write(spoiled);
    const dry = await repair('dry-run');
    expect(dry.written).to.deep.equal([]);
    expect(read()).to.deep.equal(spoiled);
    const { written, ...real } = await repair('in-place');
    const blocks = real.blocks.map((block) =>
      block.outcome === 'mended' ? { ...block, outcome: 'would be mended' } : block,
    );
    expect({ ...dry, written }).to.deep.equal({ ...real, blocks, written });
  });

  it('writes new files complete or not at all, and nothing into the old ones', async () => {
    const random = seeded(4);
    await make(300, 2, random);
    const spoiled = copy(right);
    spoil(spoiled, 'hash', 1, random);
    spoil(spoiled, 'data', 41, random);
    write(spoiled);
    const only = await repair({ data: path('new-data') });
    expect([only.good, only.notWritten.hash]).to.deep.equal([false, 1]);
    expect(file('new-data').equals(right.data)).to.equal(true);
    rmSync(path('new-data'));
    const all = await repair({ data: path('new-data'), hash: path('new-hash') });
    expect([all.good, all.written]).to.deep.equal([true, [path('new-data'), path('new-hash')]]);
    expect(file('new-data').equals(right.data) && file('new-hash').equals(right.hash)).to.equal(true);
    expect(read()).to.deep.equal(spoiled);
    let code = '';
    await repair({ data: path('new-data') }).catch((error) => (code = error.code));
    expect(code).to.equal('EEXIST');
    const beyond = copy(right);
    for (let block = 0; block < 300; block += 2) spoil(beyond, 'data', block, random);
    write(beyond);
    rmSync(path('new-data'));
    expect((await repair({ data: path('new-data') })).written).to.deep.equal([]);
    expect(readdirSync(folder).filter((name) => name.includes('part') || name === 'new-data')).to.deep.equal([]);
  });

  it('mends an image with room behind the tree, which FEC covers: of a set with such blocks the parity alone tells', async () => {
    const random = seeded(9);
    await make(700, 4, random);
    // As on a larger device: zeroes behind the tree, which change no parity as the number of sets stays.
    const sets = right.fec.length / blockSize / roots;
    const room = sets * (255 - roots) - (700 + right.hash.length / blockSize - 1);
    expect(room).to.be.above(sets);
    right.hash = Buffer.concat([right.hash, Buffer.alloc((room - 1) * blockSize)]);
    const spoiled = copy(right);
    for (let set = 0; set < sets; set++) spoil(spoiled, 'data', 5 * sets + set, random);
    write(spoiled);
    expect(counts(await repair('in-place'))).to.deep.include({ good: true, unjudgedParity: 0 });
    expect(read()).to.deep.equal(right);
    const foreign = copy(right);
    spoil(foreign, 'hash', right.hash.length / blockSize - 1, random);
    spoil(foreign, 'data', 0, random);
    write(foreign);
    const { good, unjudgedParity, mended } = await repair('in-place');
    expect({ good, unjudgedParity, data: mended.data }).to.deep.equal({ good: true, unjudgedParity: 1, data: 1 });
    expect(file('data').equals(right.data)).to.equal(true);
  });

  it('mends a file that was cut off', async () => {
    await make(300, 24, seeded(5));
    truncateSync(path('data'), 295 * blockSize + 100);
    expect((await repair('in-place')).mended.data).to.be.within(4, 5);
    expect(read()).to.deep.equal(right);
    truncateSync(path('data'), 512);
    let message = '';
    await repair('in-place').catch((error) => (message = error.message));
    expect(message).to.equal('Errors cannot be repaired with FEC device.');
  });

  it('changes nothing for a root hash that is not the one', async () => {
    const random = seeded(6);
    await make(300, 2, random);
    const spoiled = copy(right);
    spoil(spoiled, 'data', 7, random);
    write(spoiled);
    rootHash[0]! ^= 1;
    let [message, code] = ['', ''];
    await repair('in-place').catch((error) => ([message, code] = [error.message, error.code]));
    expect([message, code]).to.deep.equal(['Verification of root hash failed.', 'EPERM']);
    expect(read()).to.deep.equal(spoiled);
  });

  it('may be ended at any time: what is written until then is right, and the next run goes on', async () => {
    const random = seeded(7);
    await make(600, 8, random);
    const spoiled = copy(right);
    for (let block = 0; block < 600; block += 37) spoil(spoiled, 'data', block, random);
    for (let steps = 1; ; steps += 2) {
      write(spoiled);
      // Aborts at the so-manieth look at the signal.
      let looks = 0;
      const signal = new AbortController().signal;
      Object.defineProperty(signal, 'aborted', { get: () => ++looks > steps });
      const ended = await repair('in-place', { signal }).then(
        () => '',
        (error) => error.code,
      );
      const now = read();
      for (let at = 0; at < now.data.length; at += blockSize) {
        const is = (files: Files) => now.data.compare(files.data, at, at + blockSize, at, at + blockSize) === 0;
        expect(is(right) || is(spoiled), `block at ${at}`).to.equal(true);
      }
      expect(now.hash.equals(right.hash) && now.fec.equals(right.fec)).to.equal(true);
      expect((await repair('in-place')).good).to.equal(true);
      expect(read()).to.deep.equal(right);
      if (!ended) break;
      expect(ended).to.equal('ABORT_ERR');
    }
  });

  it('is never silently wrong, within the capacity and beyond it', async () => {
    const random = seeded(8);
    const below = (limit: number) => Math.floor(random() * limit);
    let [mended, left] = [0, 0];
    for (let round = 0; round < 25; round++) {
      await make(1 + below(900), [2, 3, 8, 24][below(4)]!, random);
      const spoiled = copy(right);
      for (let hits = below(30); hits >= 0; hits--) {
        const area = areas[below(3)]!;
        const blocks = right[area].length / blockSize;
        const block = area === 'hash' ? 1 + below(blocks - 1) : below(blocks);
        if (block >= blocks) continue;
        if (random() < 0.5) spoil(spoiled, area, block, random);
        else spoiled[area][block * blockSize + below(blockSize)]! ^= 1 + below(255);
      }
      write(spoiled);
      const result = await repair('in-place').catch((error) => {
        expect(error.code).to.equal('EPERM');
        return undefined;
      });
      const now = read();
      const { good } = await verifyVerity(path('data'), path('hash'), rootHash);
      if (result?.good) {
        mended++;
        expect(good).to.equal(true);
        expect(now).to.deep.equal(right);
        continue;
      }
      left++;
      for (const area of areas)
        for (let at = 0; at < now[area].length; at += blockSize) {
          const is = (files: Files) => now[area].compare(files[area], at, at + blockSize, at, at + blockSize) === 0;
          expect(is(right) || is(spoiled), `${area} at ${at}`).to.equal(true);
        }
    }
    expect(Math.min(mended, left)).to.be.greaterThan(0);
  });
});
