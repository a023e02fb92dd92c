import { expect } from 'chai';
import { AlgError } from '../../lib/crypto/error.js';
import { pad, unpad } from '../../lib/crypto/stream/padding.js';

describe('PKCS#7', () => {
  it('fills a block with the number of bytes that it fills, and takes them off again', () => {
    for (const size of [8, 16])
      for (let length = 0; length < size; length++) {
        const rest = new Uint8Array(length).fill(0xaa);
        const block = pad(rest, size);
        expect(block).to.have.length(size);
        expect([...block.subarray(length)]).to.deep.equal(Array(size - length).fill(size - length));
        expect([...unpad('cbc(x)', block)]).to.deep.equal([...rest]);
      }
  });

  it('takes off nothing that is not so', () => {
    const good = pad(new Uint8Array(9), 16);
    for (let at = 9; at < 16; at++)
      for (let bit = 0; bit < 8; bit++) {
        const wrong = Uint8Array.from(good);
        wrong[at]! ^= 1 << bit;
        // A last byte of 1 is a padding of its own.
        if (wrong[15] === 1) continue;
        expect(() => unpad('cbc(x)', wrong), `byte ${at} bit ${bit}`).to.throw(AlgError);
      }
  });
});
