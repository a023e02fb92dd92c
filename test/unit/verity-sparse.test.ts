import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { formatVerity, verifyVerity } from '../../lib/index.js';
import { randomBytes } from '../support/random-bytes.js';

const mib = 1 << 20;

describe('verity of sparse files', function () {
  this.timeout(600_000);
  let folder = '';
  const path = (name: string) => join(folder, name);
  const size = 9 * mib + 3 * 4096;
  // Holes: of whole bios, within one, at the start, at the end.
  const data: [at: number, bytes: Buffer][] = [
    [2 * mib, randomBytes('a bio', mib)],
    [3 * mib + 8192, randomBytes('a block', 4096)],
    [6 * mib - 4096, randomBytes('across a border', 8192)],
  ];

  before(function () {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-sparse-'));
    const dense = Buffer.alloc(size);
    for (const [at, bytes] of data) bytes.copy(dense, at);
    writeFileSync(path('dense'), dense);
    writeSparse('sparse', data);
    if (statSync(path('sparse')).blocks * 512 >= size) this.skip(); // a file system without holes
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function writeSparse(name: string, pieces: typeof data): void {
    writeFileSync(path(name), '');
    truncateSync(path(name), size);
    const fd = openSync(path(name), 'r+');
    for (const [at, bytes] of pieces) writeSync(fd, bytes, 0, bytes.length, at);
    closeSync(fd);
  }

  for (const [hash, hashBlockSize, hashType] of [
    ['sha256', 4096, 1],
    ['sha1', 1024, 1],
    ['sha512', 4096, 0],
  ] as const)
    it(`a hole and zeroes have the same tree and parity: ${hash}, hash blocks of ${hashBlockSize}, format ${hashType}`, async () => {
      const common = {
        hash,
        hashType,
        hashBlockSize,
        salt: Buffer.from('00ff', 'hex'),
        uuid: '11111111-2222-3333-4444-555555555555',
      };
      const withFec = hashBlockSize === 4096;
      const format = (name: string) =>
        formatVerity(path(name), path(`${name}.hash`), {
          ...common,
          ...(withFec && { fec: { path: path(`${name}.fec`), roots: 3 } }),
        });
      const { rootHash } = await format('dense');
      expect((await format('sparse')).rootHash).to.deep.equal(rootHash);
      for (const suffix of withFec ? ['hash', 'fec'] : ['hash'])
        expect(readFileSync(path(`sparse.${suffix}`)).equals(readFileSync(path(`dense.${suffix}`))), suffix).to.equal(
          true,
        );
      expect((await verifyVerity(path('sparse'), path('dense.hash'), rootHash)).good).to.equal(true);
    });

  it('a hole where data ought to be is bad, block by block', async () => {
    const { rootHash } = await formatVerity(path('dense'), path('tree'), {});
    writeSparse('lost', data.slice(0, 1));
    const { bad } = await verifyVerity(path('lost'), path('tree'), rootHash);
    const lost = [3 * mib + 8192, 6 * mib - 4096, 6 * mib].map((at) => at / 4096);
    expect(bad.map(({ level, block }) => [level, block])).to.deep.equal(lost.map((block) => [-1, block]));
  });
});
