import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { ReferenceCbc } from '../../lib/compare/material/reference-aes.js';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

function encrypt(key: Uint8Array, iv: Uint8Array, plain: Uint8Array): string {
  const out = Buffer.alloc(plain.length);
  new ReferenceCbc(key, iv).encrypt(plain, out);
  return out.toString('hex');
}

describe('ReferenceCbc', () => {
  it('FIPS 197, appendices B and C.1: one block, without an IV', () => {
    const zero = Buffer.alloc(16);
    expect(encrypt(hex('2b7e151628aed2a6abf7158809cf4f3c'), zero, hex('3243f6a8885a308d313198a2e0370734'))).to.equal(
      '3925841d02dc09fbdc118597196a0b32',
    );
    expect(encrypt(hex('000102030405060708090a0b0c0d0e0f'), zero, hex('00112233445566778899aabbccddeeff'))).to.equal(
      '69c4e0d86a7b0430d8cdb78070b4c55a',
    );
  });

  it('SP 800-38A, F.2.1: four blocks of CBC', () => {
    const plain = hex(
      '6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710',
    );
    expect(encrypt(hex('2b7e151628aed2a6abf7158809cf4f3c'), hex('000102030405060708090a0b0c0d0e0f'), plain)).to.equal(
      '7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b273bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7',
    );
  });

  it('is what libcrypto does, over a stream in pieces', () => {
    const key = Buffer.from(Array.from({ length: 16 }, (_, i) => 255 - 13 * i));
    const iv = Buffer.from(Array.from({ length: 16 }, (_, i) => 7 * i));
    const cipher = createCipheriv('aes-128-cbc', key, iv).setAutoPadding(false);
    const stream = new ReferenceCbc(key, iv);
    for (const size of [16, 4096, 0, 48, 512]) {
      const plain = Buffer.from(Array.from({ length: size }, (_, i) => (i * i + size) & 255));
      const out = Buffer.alloc(size);
      stream.encrypt(plain, out);
      expect(out.equals(cipher.update(plain))).to.equal(true);
    }
  });

  it('refuses other keys and IVs', () => {
    expect(() => new ReferenceCbc(Buffer.alloc(32), Buffer.alloc(16))).to.throw(RangeError, 'of 16 bytes, got 32');
  });
});
