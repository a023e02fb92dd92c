import * as nodeCrypto from 'node:crypto';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import { createCipheriv, createHash } from '../../lib/index.js';

// Past every 32-bit length, and no multiple of a block.
const size = 4 * 2 ** 30 + 17;
const zeros = Buffer.alloc(1024 * 1024);

function* manyZeros(): Generator<Buffer> {
  for (let at = 0; at < size; at += zeros.length) yield zeros.subarray(0, size - at);
}

describe('streams beyond 4 GiB', function () {
  this.timeout(600_000);

  it('sha256 gives node:crypto’s digest', async () => {
    const hash = createHash('sha256', { provider: 'library' });
    await pipeline(manyZeros, hash);
    const reference = nodeCrypto.createHash('sha256');
    for (const piece of manyZeros()) reference.update(piece);
    expect((hash.read() as Buffer).toString('hex')).to.equal(reference.digest('hex'));
  });

  it('ctr(aes) gives node:crypto’s bytes, and its counter goes on', async () => {
    const key = Buffer.alloc(32, 1);
    const iv = Buffer.alloc(16, 2);
    const reference = nodeCrypto.createCipheriv('aes-256-ctr', key, iv);
    let compared = 0;
    const compare = new Writable({
      write(chunk: Buffer, _encoding, callback) {
        const same = chunk.equals(reference.update(zeros.subarray(0, chunk.length)));
        compared += chunk.length;
        callback(same ? null : new Error(`it differs before byte ${compared}`));
      },
    });
    await pipeline(manyZeros, createCipheriv('ctr(aes)', key, iv, { provider: 'library' }), compare);
    expect(compared).to.equal(size);
  });
});
