import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { coveredHashBlocks, FecLayout } from '../../lib/verity/fec/fec-layout.js';
import { ParityEncoder } from '../../lib/verity/fec/parity-encoder.js';
import { ReedSolomon } from '../../lib/verity/fec/reed-solomon.js';
import { formatVerity } from '../../lib/verity/format.js';
import { verifyVerity } from '../../lib/verity/verify.js';
import { seeded } from '../support/manual-engine.js';

function noise(bytes: number, seed: number): Buffer {
  const random = seeded(seed);
  return Buffer.from(Array.from({ length: bytes }, () => random() * 256));
}

const hasVeritysetup = (() => {
  try {
    execFileSync('veritysetup', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

describe('verity FEC', function () {
  this.timeout(600_000);
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-fec-'));
  after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);

  it('lays sets out over the message', () => {
    const layout = new FecLayout({ roots: 2, blockSize: 4096, dataBlocks: 500, hashBlocks: 10 });
    expect([layout.rounds, layout.setSize, layout.codewords]).to.deep.equal([3, 253, 3 * 4096]);
    expect([layout.rowsOf(0), layout.rowsOf(2)]).to.deep.equal([170, 170]);
    for (const block of [0, 1, 2, 3, 509])
      expect(layout.block(layout.setOf(block), layout.rowOf(block))).to.equal(block);
    expect(layout.paritySize).to.equal(3 * 2 * 4096);
    expect(coveredHashBlocks(64 * 4096 + 17, 1, 4096)).to.equal(63);
    expect(coveredHashBlocks(512, 1, 4096)).to.equal(0);
  });

  it('has the same parity whatever the window, and reads what does not fit into it', async () => {
    for (const [roots, blocks] of [
      [2, 600],
      [24, 1000],
    ] as const) {
      const layout = new FecLayout({ roots, blockSize: 512, dataBlocks: blocks, hashBlocks: 0 });
      const message = noise(layout.messageSize, roots);
      const found: Buffer[] = [];
      for (const window of [1, layout.setParity * 2, layout.paritySize]) {
        using encoder = new ParityEncoder(layout, new ReedSolomon(roots), { window });
        const pieces: Promise<void>[] = [];
        for (let at = 0; at < message.length; at += 10_001)
          pieces.push(encoder.add(at, message.subarray(at, at + 10_001)));
        await Promise.all(pieces);
        const parity = Buffer.alloc(layout.paritySize);
        let read = 0;
        await encoder.finish({
          read: async (position, into) => {
            read += into.length;
            into.set(message.subarray(position, position + into.length));
          },
          take: async (position, bytes) => parity.set(bytes, position),
        });
        expect(read > 0).to.equal(window < layout.paritySize);
        found.push(parity);
      }
      expect(found[1]!.equals(found[0]!) && found[2]!.equals(found[0]!)).to.equal(true);
    }
  });

  interface Case {
    blocks: number;
    roots: number;
    blockSize?: number;
    /** Where data, tree and parity lie: in files of their own, tree and parity in one, or all in one. */
    files?: 'three' | 'two' | 'one';
    superblock?: boolean;
    fecOffset?: number;
    hashOffset?: number;
    /** Bytes that the hash file has before. */
    hashSize?: number;
  }
  const cases: Case[] = [
    ...Array.from({ length: 23 }, (_, index) => ({ blocks: 300, roots: index + 2, blockSize: 512 })),
    ...[1, 2, 247, 248, 249, 252, 253, 254, 505, 506, 507].map((blocks) => ({ blocks, roots: 2, blockSize: 1024 })),
    { blocks: 300, roots: 2 },
    { blocks: 300, roots: 3, superblock: false },
    { blocks: 1, roots: 3, superblock: false },
    { blocks: 1, roots: 3 },
    { blocks: 300, roots: 2, fecOffset: 8192 },
    { blocks: 300, roots: 2, fecOffset: 512 },
    { blocks: 300, roots: 2, hashOffset: 65_536 },
    { blocks: 300, roots: 2, hashSize: 64 * 4096 },
    { blocks: 300, roots: 4, files: 'two', fecOffset: 20 * 4096, hashSize: 21 * 4096 },
    { blocks: 300, roots: 4, files: 'one', hashOffset: 300 * 4096, fecOffset: 305 * 4096 },
    { blocks: 300, roots: 4, files: 'one', hashOffset: 300 * 4096, fecOffset: 320 * 4096, hashSize: 340 * 4096 },
  ];
  for (const [number, each] of cases.entries()) {
    const { blocks, roots, blockSize = 4096, files = 'three', superblock = true, fecOffset = 0 } = each;
    const { hashOffset = 0, hashSize = 0 } = each;
    it(`is veritysetup's: ${JSON.stringify(each)}`, async function () {
      if (!hasVeritysetup) this.skip(); // of the package cryptsetup-bin
      const data = noise(blocks * blockSize, number);
      const before = noise(Math.max(0, hashSize), 1000 + number);
      const salt = Buffer.from('5a17', 'hex');
      const make = (who: string) => {
        const own = { data: path(`${who}-data`), hash: path(`${who}-hash`), fec: path(`${who}-fec`) };
        for (const file of Object.values(own)) rmSync(file, { force: true });
        if (files === 'one') writeFileSync(own.data, Buffer.concat([data, before.subarray(data.length)]));
        else {
          writeFileSync(own.data, data);
          if (before.length > 0) writeFileSync(own.hash, before);
        }
        const hash = files === 'one' ? own.data : own.hash;
        return { data: own.data, hash, fec: files === 'three' ? own.fec : hash };
      };
      const [theirs, ours] = [make('theirs'), make('ours')];
      const uuid = '11111111-2222-3333-4444-555555555555';
      const options = [
        ...[
          '--fec-device',
          theirs.fec,
          '--fec-offset',
          fecOffset,
          '--fec-roots',
          roots,
          '--salt',
          salt.toString('hex'),
        ],
        ...['--data-block-size', blockSize, '--hash-block-size', blockSize, '--hash-offset', hashOffset],
        ...['--data-blocks', blocks, '--uuid', uuid, ...(superblock ? [] : ['--no-superblock'])],
      ];
      execFileSync('veritysetup', ['format', theirs.data, theirs.hash, ...options.map(String)]);
      const fec = { path: ours.fec, offset: fecOffset, roots };
      const shape = { dataBlockSize: blockSize, hashBlockSize: blockSize, dataBlocks: blocks, salt };
      const { rootHash } = await formatVerity(ours.data, ours.hash, { ...shape, uuid, superblock, hashOffset, fec });
      // veritysetup fills the superblock's block where nothing comes behind it.
      for (const area of blocks > 1 ? (['data', 'hash', 'fec'] as const) : (['data', 'fec'] as const))
        expect(readFileSync(ours[area]).equals(readFileSync(theirs[area])), area).to.equal(true);
      const image = { ...shape, superblock, hashOffset, fec };
      const found = await verifyVerity(ours.data, ours.hash, rootHash, image);
      expect(found.good).to.equal(true);
      expect(found.fec).to.deep.equal({
        good: true,
        mended: { data: 0, hash: 0, fec: 0 },
        left: { data: 0, hash: 0, fec: 0 },
        unjudged: { data: 0, hash: 0 },
        unjudgedParity: 0,
        repairable: 0,
        firstBeyond: undefined,
      });
    });
  }

  it('counts what veritysetup would repair', async function () {
    if (!hasVeritysetup) this.skip();
    const [data, hash, fecPath] = ['data', 'hash', 'fec'].map((name) => path(`count-${name}`)) as [
      string,
      string,
      string,
    ];
    const bytes = noise(700 * 1024, 3);
    writeFileSync(data, bytes);
    const shape = { dataBlockSize: 1024, hashBlockSize: 1024 };
    const fec = { path: fecPath, roots: 4 };
    const { rootHash } = await formatVerity(data, hash, { ...shape, fec });
    const verify = () => {
      const args = ['verify', data, hash, rootHash.toString('hex'), '--fec-device', fecPath, '--fec-roots', '4'];
      try {
        return execFileSync('sh', ['-c', 'veritysetup "$@" 2>&1', 'sh', ...args]).toString();
      } catch (error) {
        return (error as { stdout: Buffer }).stdout.toString();
      }
    };
    for (const [spoiled, errors] of [
      [[5000], 1],
      [[5000, 5001, 400_000, 700_000], 4],
    ] as const) {
      const wrong = Buffer.from(bytes);
      for (const at of spoiled) wrong[at]! ^= 1;
      writeFileSync(data, wrong);
      expect(verify()).to.include(`Found ${errors} repairable errors with FEC device.`);
      expect((await verifyVerity(data, hash, rootHash, { fec })).fec!.repairable).to.equal(errors);
    }
    writeFileSync(data, Buffer.alloc(bytes.length));
    const { firstBeyond, left } = (await verifyVerity(data, hash, rootHash, { fec })).fec!;
    expect(left.data).to.equal(700);
    expect(verify()).to.include(`Failed to repair parity for block ${firstBeyond}.`);
  });
});
