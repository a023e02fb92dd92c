import * as nodeCrypto from 'node:crypto';
import { expect } from 'chai';
import { libraryAlgorithm, libraryNames } from '../../lib/crypto/provider/library.js';
import { Tfm } from '../../lib/crypto/request/tfm.js';

describe('what the library knows', () => {
  for (const type of ['hash', 'skcipher', 'aead', 'rng'] as const)
    it(`opens every ${type} it lists, with every key size, and runs it`, () => {
      const names = libraryNames(type);
      expect(names.length).to.be.greaterThan(0);
      for (const name of names) {
        const { keySizes, ivSize, digestSize } = libraryAlgorithm(type, name)!;
        for (const size of keySizes ?? (name.startsWith('hmac') ? [1, 200] : [undefined])) {
          // Two halves that differ, as XTS wants.
          const key = size === undefined ? {} : { key: Uint8Array.from({ length: size }, (_, index) => index) };
          using tfm = new Tfm(type, name, { provider: 'library', ...key });
          const request = tfm.request();
          if (ivSize) request.iv = new Uint8Array(ivSize).fill(2);
          const length = 48;
          request.src = type === 'rng' ? new Uint8Array(0) : new Uint8Array(length);
          const expected = type === 'hash' ? digestSize : length + (type === 'aead' ? tfm.authSize : 0);
          request.dst = new Uint8Array(expected);
          expect(request.runSync(), `${name}, key of ${size}`).to.equal(expected);
          expect(
            request.dst.some((byte) => byte !== 0),
            name,
          ).to.equal(true);
        }
      }
    });

  it('tells sizes as they are', () => {
    for (const name of libraryNames('hash').filter((each) => nodeCrypto.getHashes().includes(each))) {
      const { digestSize } = libraryAlgorithm('hash', name)!;
      expect(nodeCrypto.createHash(name).digest(), name).to.have.length(digestSize);
    }
    expect(libraryAlgorithm('skcipher', 'cbc(aes)')).to.include({ ivSize: 16, blockSize: 16 });
    expect(libraryAlgorithm('skcipher', 'ctr(aes)')).to.include({ ivSize: 16, blockSize: 1 });
    expect(libraryAlgorithm('skcipher', 'ecb(des3_ede)')).to.include({ ivSize: 0, blockSize: 8 });
  });

  it('does not know other names, nor names of other types', () => {
    for (const [type, name] of [
      ['hash', 'cbc(aes)'],
      ['hash', 'hmac(hmac(sha256))'],
      ['hash', 'hmac()'],
      ['hash', 'constructor'],
      ['skcipher', 'sha256'],
      ['skcipher', 'gcm(aes)'],
      ['skcipher', 'xts(camellia)'],
      ['skcipher', 'cbc(aes'],
      ['skcipher', 'toString(aes)'],
      ['aead', 'gcm(camellia)'],
      ['rng', 'sha256'],
    ] as const)
      expect(libraryAlgorithm(type, name), `${type} ${name}`).to.equal(undefined);
  });

  it('refuses keys of other sizes, naming those it takes', () => {
    const open = (name: string, size: number) =>
      new Tfm('skcipher', name, { provider: 'library', key: new Uint8Array(size) });
    expect(() => open('cbc(aes)', 17)).to.throw(RangeError, 'key: expected 16 or 24 or 32 bytes for cbc(aes), got 17');
    expect(() => open('xts(aes)', 48)).to.throw(RangeError, 'key: expected 32 or 64 bytes for xts(aes), got 48');
  });
});
