import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { referenceSha256 } from '../../lib/compare/material/reference-sha256.js';

const digest = (message: Uint8Array) => Buffer.from(referenceSha256(message)).toString('hex');

describe('referenceSha256', () => {
  it('FIPS 180: one block and two', () => {
    expect(digest(Buffer.from('abc'))).to.equal('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(digest(Buffer.from('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'))).to.equal(
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    );
  });

  it('is what libcrypto does, over the borders of blocks', () => {
    for (const size of [0, 1, 55, 56, 63, 64, 65, 119, 120, 4128]) {
      const message = Buffer.from(Array.from({ length: size }, (_, i) => (i * i + size) & 255));
      expect(digest(message), `${size} bytes`).to.equal(createHash('sha256').update(message).digest('hex'));
    }
  });
});
