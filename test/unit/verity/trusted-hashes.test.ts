import { expect } from 'chai';
import type { Tree } from '../../../lib/verity/parameters.js';
import { treeLayout } from '../../../lib/verity/tree-layout.js';
import { TrustedHashes } from '../../../lib/verity/trusted-hashes.js';

const hashBlockSize = 524_288;
const perBlock = hashBlockSize / 32;

/** A tree of zeroes, with a hash whose digests are zeroes: only who reads what and when matters. */
function tree(hashBlocks: number): Tree {
  const dataBlocks = hashBlocks * perBlock;
  const layout = treeLayout({ dataBlocks, hashBlockSize, digestSize: 32, hashType: 1 });
  const hasher = { hash: async () => {} };
  return { dataBlocks, hashBlockSize, layout, hasher } as unknown as Tree;
}

describe('trusted hashes', () => {
  const rootHash = Buffer.alloc(32);

  it('keep 8 MiB of hash blocks, those used last', async () => {
    const reads: number[] = [];
    const read = async (place: number, into: Buffer) => {
      into.fill(0);
      reads.push(place);
    };
    const hashes = new TrustedHashes({ tree: tree(40), rootHash, read });
    for (let block = 0; block < 40; block++) {
      await hashes.digest(-1, block * perBlock);
      expect(hashes.size).to.be.at.most(8 << 20);
    }
    expect(hashes.blocks).to.equal(16);
    reads.length = 0;
    // The top was used by each; the last fifteen are there.
    for (let block = 25; block < 40; block++) await hashes.digest(-1, block * perBlock);
    expect(reads).to.deep.equal([]);
    await hashes.digest(-1, 0);
    expect(reads).to.deep.equal([1]);
  });

  it('read a hash block once for all who ask for it at the same time', async () => {
    const reads: number[] = [];
    const read = async (place: number, into: Buffer) => {
      reads.push(place);
      await new Promise((resolve) => setImmediate(resolve));
      into.fill(0);
    };
    const hashes = new TrustedHashes({ tree: tree(3), rootHash, read });
    await Promise.all(Array.from({ length: 30 }, (_, index) => hashes.digest(-1, (index % 3) * perBlock + index)));
    expect(reads.sort()).to.deep.equal([0, 1, 2, 3]);
  });
});
