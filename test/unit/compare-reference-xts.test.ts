import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { ReferenceXts } from '../../lib/compare/material/reference-xts.js';

describe('ReferenceXts', () => {
  it('IEEE 1619, vectors 1 and 2', () => {
    const encrypt = (key: string, iv: string, plain: string) => {
      const out = Buffer.alloc(32);
      new ReferenceXts(Buffer.from(key, 'hex')).encrypt(Buffer.from(iv, 'hex'), Buffer.from(plain, 'hex'), out);
      return out.toString('hex');
    };
    expect(encrypt('00'.repeat(32), '00'.repeat(16), '00'.repeat(32))).to.equal(
      '917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e',
    );
    expect(encrypt('11'.repeat(16) + '22'.repeat(16), `3333333333${'00'.repeat(11)}`, '44'.repeat(32))).to.equal(
      'c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0',
    );
  });

  for (const size of [32, 64])
    it(`is what libcrypto does, with a key of ${size} bytes`, () => {
      const key = Buffer.from(Array.from({ length: size }, (_, i) => 255 - 3 * i));
      const reference = new ReferenceXts(key);
      for (const [index, length] of [16, 512, 4096].entries()) {
        const iv = Buffer.alloc(16, index);
        const plain = Buffer.from(Array.from({ length }, (_, i) => (i * i + index) & 255));
        const out = Buffer.alloc(length);
        reference.encrypt(iv, plain, out);
        const cipher = createCipheriv(`aes-${size * 4}-xts`, key, iv);
        expect(out.toString('hex')).to.equal(cipher.update(plain).toString('hex'));
      }
    });

  it('refuses other keys', () => {
    expect(() => new ReferenceXts(Buffer.alloc(16))).to.throw(RangeError, 'of 32 or 64 bytes, got 16');
  });
});
