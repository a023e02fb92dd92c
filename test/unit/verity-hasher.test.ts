import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { Tfm } from '../../lib/crypto/request/tfm.js';
import { BlockHasher } from '../../lib/verity/block-hasher.js';
import { VerityError } from '../../lib/verity/error.js';

const bytes = (length: number, seed: number) => Buffer.alloc(length).map((_, at) => (at * 7 + seed) % 251);

/** The kernel's names of what node:crypto has by another one. */
const nodeName: Record<string, string> = { rmd160: 'ripemd160' };

describe('BlockHasher', () => {
  const salts = [0, 1, 20, 31, 32, 55, 63, 64, 65, 128, 200, 256];
  for (const hash of ['sha256', 'sha1', 'sha512', 'rmd160'])
    for (const hashType of [0, 1] as const)
      it(`${hash}, format ${hashType}: salts, block sizes, numbers of blocks and strides`, async () => {
        for (const size of salts)
          for (const [blockSize, count] of [
            [512, 1],
            [512, 33],
            [1024, 2],
            [4096, 3],
            [4096, 17],
          ] as const) {
            const salt = bytes(size, 3);
            const src = bytes(blockSize * count, size);
            using hasher = new BlockHasher({ hash, salt, hashType, provider: 'library' });
            const stride = hasher.digestSize + 12;
            const dst = new Uint8Array(count * stride).fill(0xee);
            await hasher.hash(src, dst, blockSize, stride);
            for (let at = 0; at < count; at++) {
              const block = src.subarray(at * blockSize, (at + 1) * blockSize);
              const message = Buffer.concat(hashType ? [salt, block] : [block, salt]);
              const wanted = createHash(nodeName[hash] ?? hash)
                .update(message)
                .digest();
              const got = Buffer.from(dst.subarray(at * stride, (at + 1) * stride));
              expect(got).to.deep.equal(Buffer.concat([wanted, Buffer.alloc(12, 0xee)]), `salt ${size}, block ${at}`);
            }
          }
      });

  it('takes no blocks at all', async () => {
    using hasher = new BlockHasher({ hash: 'sha256', salt: bytes(4, 0), hashType: 1, provider: 'library' });
    await hasher.hash(new Uint8Array(0), new Uint8Array(0), 4096);
  });
  it('refuses a hash that nobody has, in words', () => {
    const open = (hash: string) => () => new BlockHasher({ hash, salt: bytes(0, 0), hashType: 1, provider: 'library' });
    expect(open('foo')).to.throw(VerityError, 'Hash algorithm foo not supported.');
    expect(open('constructor')).to.throw(VerityError, 'Hash algorithm constructor not supported.');
  });
  it('has its salt from hash tfms alone, and a stride of at least a digest', () => {
    const salt = { bytes: bytes(4, 0), place: 'first' as const };
    const key = bytes(16, 1);
    const unit = new Uint8Array(64);
    using cipher = new Tfm('skcipher', 'ecb(aes)', { key, provider: 'library' });
    using hash = new Tfm('hash', 'sha256', { provider: 'library' });
    const common = { direction: 'encrypt' as const, unitSize: 64, ivs: null, src: unit };
    expect(() => cipher.batch({ ...common, dst: unit, salt })).to.throw(TypeError, 'salt: expected none');
    expect(() => cipher.batch({ ...common, dst: unit, dstStride: 64 })).to.throw(TypeError, 'dstStride: expected none');
    const dst = new Uint8Array(31);
    expect(() => hash.batch({ ...common, dst, dstStride: 31 })).to.throw(RangeError, 'dstStride: expected');
    const place = 'middle' as 'first';
    expect(() => hash.batch({ ...common, dst: unit.subarray(0, 32), salt: { ...salt, place } })).to.throw('salt.place');
  });
});
