import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { SyncEngine } from '../../lib/crypto/engine/engine.js';
import { AbortError, dumpVerity, formatVerity, VerityError, verifyVerity } from '../../lib/index.js';
import { fill, generator } from '../support/veritysetup.js';

const provider = 'library' as const;

describe('verity and hostile images', function () {
  this.timeout(600_000);
  let folder = '';
  let root: Uint8Array = Buffer.alloc(0);
  const path = (name: string) => join(folder, name);
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-hostile-'));
    writeFileSync(path('data'), fill(200 * 512, 1));
    const options = { dataBlockSize: 512, hashBlockSize: 512, salt: fill(3, 1), provider };
    root = (await formatVerity(path('data'), path('hash'), options)).rootHash;
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Whatever the image is, the outcome is a verdict or a VerityError. */
  async function outcome(hash: string): Promise<boolean | string> {
    try {
      await dumpVerity(path(hash), { provider });
      return (await verifyVerity(path('data'), path(hash), root, { provider })).good;
    } catch (error) {
      expect(error).to.be.instanceOf(VerityError);
      return (error as Error).message;
    }
  }

  it('superblocks with changed bytes, seeded: a verdict or a VerityError, and good only where the tree is the same', async () => {
    const good = readFileSync(path('hash'));
    const random = generator(7);
    for (let run = 0; run < 150; run++) {
      const image = Buffer.from(good);
      for (let change = random() % 4; change >= 0; change--) image[random() % 96] = random();
      writeFileSync(path('fuzzed'), image);
      const said = await outcome('fuzzed');
      // Of what counts, only the UUID and the padding may differ.
      const same = [
        [0, 16],
        [32, 39],
        [64, 82],
        [88, 91],
      ].every(([from, to]) => image.subarray(from, to).equals(good.subarray(from, to)));
      if (said === true) expect(same, image.toString('hex', 0, 96)).to.equal(true);
    }
  });

  it('hash files that end at any place', async () => {
    const good = readFileSync(path('hash'));
    for (let size = 0; size < good.length; size += 211) {
      writeFileSync(path('short'), good.subarray(0, size));
      expect(await outcome('short')).to.contain(
        size < 512 ? 'is not a valid VERITY device' : 'Verification of data area failed',
      );
    }
  });

  it('superblocks of terabytes: refused by arithmetic', async () => {
    for (const exponent of [20n, 32n, 40n, 43n]) {
      const image = readFileSync(path('hash'));
      image.writeBigUInt64LE(1n << exponent, 72);
      writeFileSync(path('vast'), image);
      expect(await outcome('vast')).to.equal('Verification of data area failed.');
    }
    const image = readFileSync(path('hash'));
    image.writeBigUInt64LE(1n << 63n, 72);
    writeFileSync(path('vast'), image);
    expect(await outcome('vast')).to.match(/^Device offset overflow\.\nDevice .* is not a valid VERITY device\.$/);
  });

  it('no data at all verifies with no root hash', async () => {
    const image = readFileSync(path('hash'));
    image.writeBigUInt64LE(0n, 72);
    writeFileSync(path('nothing'), image);
    expect(await outcome('nothing')).to.equal('Hash area overflow.');
  });

  it('root hashes of the wrong length', async () => {
    for (const size of [0, 1, 31, 33, 64]) {
      const failed = await verifyVerity(path('data'), path('hash'), new Uint8Array(size), { provider }).catch((e) => e);
      expect(failed).to.be.instanceOf(VerityError);
      expect(failed.message).to.equal('Invalid root hash string specified.');
    }
  });

  it('data that becomes shorter leaves no new hash file, and neither does an abort', async () => {
    writeFileSync(path('shrinking'), fill(20 * 1048576, 1));
    const shrink = (done: number) => {
      if (done === 1048576) truncateSync(path('shrinking'), 1048576);
    };
    const failed = await formatVerity(path('shrinking'), path('new'), { provider, onProgress: shrink }).catch((e) => e);
    expect(failed.message).to.equal('Input/output error while creating hash area.');
    const controller = new AbortController();
    const onProgress = () => controller.abort(new Error('enough'));
    const { signal } = controller;
    const aborted = await formatVerity(path('data'), path('new'), { provider, onProgress, signal }).catch((e) => e);
    expect(aborted).to.be.instanceOf(AbortError);
    expect(readdirSync(folder).filter((name) => name.includes('new'))).to.deep.equal([]);
  });

  // Neither reading what is cached, or a hole, nor hashing in this thread gives the loop a turn by itself.
  for (const content of ['data', 'holes'])
    it(`an abort that comes with the loop's next turn ends a verification of ${content} in one thread`, async () => {
      const size = 64 * 1048576;
      writeFileSync(path('long'), content === 'data' ? fill(size, 1) : '');
      truncateSync(path('long'), size);
      const { rootHash } = await formatVerity(path('long'), path('tree'), { provider });
      const controller = new AbortController();
      const onProgress = () => void setImmediate(() => controller.abort());
      const options = { provider, engine: new SyncEngine(), onProgress, signal: controller.signal };
      const ended = await verifyVerity(path('long'), path('tree'), rootHash, options).catch((error) => error);
      expect(ended).to.be.instanceOf(AbortError);
    });
});
