import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { statusOf } from '../../../lib/cli/error-status.js';
import { formatVerity, type RootHash, repairVerity, VerityError, verifyVerity } from '../../../lib/index.js';
import { inWords } from '../../../lib/verity/error.js';
import { fill } from '../../support/veritysetup.js';

describe('a root hash', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-root-'));
  after(() => rmSync(folder, { recursive: true }));
  const path = (name: string) => join(folder, name);
  let root = '';
  before(async () => {
    writeFileSync(path('data'), fill(5 * 4096, 1));
    const { rootHash } = await formatVerity(path('data'), path('hash'), { fec: { path: path('fec') } });
    root = rootHash.toString('hex');
  });

  const calls: Record<string, (hash: RootHash) => Promise<{ good: boolean }>> = {
    verifyVerity: (hash) => verifyVerity(path('data'), path('hash'), hash),
    'verifyVerity with FEC': (hash) => verifyVerity(path('data'), path('hash'), hash, { fec: { path: path('fec') } }),
    repairVerity: (hash) =>
      repairVerity(path('data'), path('hash'), hash, { fec: { path: path('fec') }, to: 'dry-run' }),
  };
  for (const [name, call] of Object.entries(calls))
    it(`of ${name} is bytes, or hex digits of either case; of another size it is refused with the number of digits`, async () => {
      for (const hash of [
        root,
        root.toUpperCase(),
        Buffer.from(root, 'hex'),
        Uint8Array.from(Buffer.from(root, 'hex')),
      ])
        expect((await call(hash)).good).to.equal(true);
      for (const hash of [
        '',
        root.slice(2),
        `${root}00`,
        ` ${root}`,
        root.slice(1),
        'x'.repeat(64),
        Buffer.alloc(31),
      ]) {
        let error: unknown;
        await call(hash).catch((thrown: unknown) => (error = thrown));
        expect(error).to.be.instanceOf(VerityError);
        expect(error).to.include({ message: 'Invalid root hash string specified.', code: 'EINVAL' });
        expect((error as VerityError).detail).to.match(/expected .*hex digits/);
      }
    });
});

describe('an error of the system, in words', () => {
  const rows: [errno: number, code: string, status: number][] = [
    [-28, 'ENOSPC', 4],
    [-122, 'ENOSPC', 4],
    [-27, 'ENOSPC', 4],
    [-5, 'EIO', 1],
  ];
  for (const [errno, code, status] of rows)
    it(`has code ${code} and status ${status} for errno ${-errno}`, async () => {
      let error: unknown;
      const call = async () => {
        throw Object.assign(new Error('disk.hash: it did not work'), { errno, code: 'any' });
      };
      await inWords('Cannot.', call).catch((thrown: unknown) => (error = thrown));
      expect(error).to.include({ message: 'Cannot.', detail: 'disk.hash: it did not work', code });
      expect(statusOf(error)).to.equal(status);
    });
});
