import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DeviceError } from '../../../lib/dm/device-error.js';
import { openTable } from '../../../lib/dm/open-table.js';
import { formatVerity } from '../../../lib/verity/format.js';
import { repairVerity } from '../../../lib/verity/repair.js';
import { treeLayout } from '../../../lib/verity/tree-layout.js';
import { verifyVerity } from '../../../lib/verity/verify.js';
import { breakByte, fill } from '../../support/veritysetup.js';

const size = 512;
const blocks = 600; // three levels of 16 digests
const salt = Buffer.from('5a', 'hex');
const layout = treeLayout({ dataBlocks: blocks, hashBlockSize: size, digestSize: 32, hashType: 1 });

/** Where a hash block begins in its file, which has a superblock. */
const positionOf = (level: number, index: number) => (1 + layout.levels[level]!.first + index) * size;

function digestOf(block: Buffer): Buffer {
  return createHash('sha256').update(salt).update(block).digest();
}

/** Changes one byte of the digest that a tree has of a block, and makes all above it fit that. Returns the root hash. */
function forge(tree: Buffer, level: number, index: number, byte: number): Buffer {
  let [at, place] = [level + 1, Math.floor(index / 16)];
  tree[positionOf(at, place) + (index % 16) * 32 + byte]! ^= 1;
  for (; ; at++) {
    const digest = digestOf(tree.subarray(positionOf(at, place), positionOf(at, place) + size));
    if (at === layout.levels.length - 1) return digest;
    digest.copy(tree, positionOf(at + 1, Math.floor(place / 16)) + (place % 16) * 32);
    place = Math.floor(place / 16);
  }
}

describe('verity digests count to their last byte', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-digest-'));
  after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  const fec = { path: path('fec'), roots: 24 };
  let right: Buffer;
  let root: Buffer;
  before(async () => {
    writeFileSync(path('data'), fill(blocks * size, 1));
    const options = { dataBlockSize: size, hashBlockSize: size, salt, fec };
    ({ rootHash: root } = await formatVerity(path('data'), path('hash'), options));
    right = readFileSync(path('hash'));
  });

  for (const byte of [0, 15, 31])
    for (const [level, index] of [
      [-1, 0],
      [-1, 599],
      [-1, 300],
      [0, 5],
      [1, 2],
    ] as const) {
      it(`of block ${index} of level ${level}, byte ${byte}: verify, repair and the target see it`, async () => {
        const tree = Buffer.from(right);
        const forged = forge(tree, level, index, byte);
        writeFileSync(path('forged'), tree);
        const found = await verifyVerity(path('data'), path('forged'), forged);
        expect(found.bad.map((bad) => [bad.level, bad.position])).to.deep.equal([
          [level, level < 0 ? index * size : positionOf(level, index)],
        ]);
        const { left } = await repairVerity(path('data'), path('forged'), forged, { fec, to: 'dry-run' });
        expect([left.data, left.hash]).to.deep.equal(level < 0 ? [1, 0] : [0, 1]);
        const line = `0 ${blocks} verity 1 ${path('data')} ${path('forged')} ${size} ${size} ${blocks} 1 sha256 ${forged.toString('hex')} 5a`;
        await using device = await openTable(line, { readOnly: true, provider: 'library' });
        const failed = await device.read(0, device.size).then(
          () => [],
          (error: DeviceError) => error.failed,
        );
        const [first, count] = [index * 16 ** (level + 1), 16 ** (level + 1)];
        expect(failed).to.deep.equal([{ sector: first, sectors: Math.min(count, blocks - first) }]);
      });
    }

  for (const byte of [0, 31])
    it(`of a block that FEC brings back, byte ${byte}: it is not written`, async () => {
      const tree = Buffer.from(right);
      const forged = forge(tree, -1, 300, byte);
      writeFileSync(path('forged'), tree);
      writeFileSync(path('spoilt'), readFileSync(path('data')));
      breakByte(path('spoilt'), 300 * size);
      breakByte(path('spoilt'), 301 * size);
      const before = readFileSync(path('spoilt'));
      const { left, mended } = await repairVerity(path('spoilt'), path('forged'), forged, { fec, to: 'in-place' });
      expect([left.data, mended.data]).to.deep.equal([1, 1]);
      const now = readFileSync(path('spoilt'));
      expect(now.subarray(300 * size, 301 * size).equals(before.subarray(300 * size, 301 * size))).to.equal(true);
      const line = `0 ${blocks} verity 1 ${path('spoilt')} ${path('forged')} ${size} ${size} ${blocks} 1 sha256 ${forged.toString('hex')} 5a 8 use_fec_from_device ${path('fec')} fec_blocks ${blocks + right.length / size - 1} fec_start 0 fec_roots 24`;
      await using device = await openTable(line, { readOnly: true, provider: 'library' });
      const failed = await device.read(299 * size, 3 * size).then(
        () => [],
        (error: DeviceError) => error.failed,
      );
      expect(failed).to.deep.equal([{ sector: 300, sectors: 1 }]);
    });

  it('and something in the room between them counts once for a hash block, whatever is read at a time', async () => {
    const large = 16384;
    writeFileSync(path('large'), fill(100 * large, 3));
    const options = { dataBlockSize: large, hash: 'sha1', salt };
    await formatVerity(path('large'), path('sparse'), options);
    const tree = readFileSync(path('sparse'));
    for (const entry of [1, 99]) tree[4096 + entry * 32 + 25]! = 7;
    writeFileSync(path('sparse'), tree);
    const forged = createHash('sha1').update(salt).update(tree.subarray(4096)).digest();
    const found = await verifyVerity(path('large'), path('sparse'), forged);
    expect(found.bad.map(({ reason, position }) => [reason, position])).to.deep.equal([['spare', 4096 + 32 + 25]]);
    expect(found.badHashBlocks).to.equal(1);
  });

  it('of the root hash', async () => {
    for (const byte of [0, 31]) {
      const wrong = Buffer.from(root);
      wrong[byte]! ^= 1;
      const found = await verifyVerity(path('data'), path('hash'), wrong);
      expect([found.good, found.rootHash]).to.deep.equal([false, false]);
    }
  });
});
