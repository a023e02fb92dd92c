import { expect } from 'chai';
import { CryptConvert } from '../../lib/crypto/sector/convert.js';
import { CryptError } from '../../lib/crypto/sector/error.js';
import { parseKey, readKey } from '../../lib/crypto/sector/key.js';
import { sectorNumbers } from '../../lib/crypto/sector/sector-numbers.js';
import { blockCipherOf, parseCipher } from '../../lib/crypto/sector/spec.js';

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).to.be.instanceOf(CryptError);
    return `${(error as CryptError).reason} @${(error as CryptError).argument}`;
  }
  return 'accepted';
}

describe('dm-crypt: cipher specifications and keys', () => {
  const parsed: [string, string, string | undefined, number][] = [
    ['aes', 'cbc(aes)', 'plain', 1],
    ['aes-plain', 'cbc(aes)', 'plain', 1],
    ['aes-ecb', 'ecb(aes)', undefined, 1],
    ['aes-cbc-plain', 'cbc(aes)', 'plain', 1],
    ['aes-xts-plain64', 'xts(aes)', 'plain64', 1],
    ['aes:4-cbc-plain64', 'cbc(aes)', 'plain64', 4],
    ['aes-cbc-essiv:sha256', 'essiv(cbc(aes),sha256)', 'essiv', 1],
    ['aes:64-cbc-lmk', 'cbc(aes)', 'lmk', 64],
    ['capi:xts(aes)-plain64', 'xts(aes)', 'plain64', 1],
    ['capi:cbc(aes)-essiv:sha3-256', 'essiv(cbc(aes),sha3-256)', 'essiv', 1],
    ['capi:cryptd(cbc-aes-aesni)-plain64', 'cryptd(cbc-aes-aesni)', 'plain64', 1],
    ['capi:cbc(aes)-lmk', 'cbc(aes)', 'lmk', 64],
    ['capi:ecb(cipher_null)', 'ecb(cipher_null)', undefined, 1],
  ];
  for (const [text, apiName, ivMode, keyCount] of parsed)
    it(text, () => expect(parseCipher(text)).to.include({ apiName, ivMode, keyCount }));

  const refused: [string, string][] = [
    ['xts(aes)-plain64', 'Bad cipher specification'],
    ['aes:3-cbc-plain', 'Bad cipher key count specification'],
    ['aes:x-cbc-plain', 'Bad cipher key count specification'],
    ['aes:0-cbc-plain', 'Bad cipher key count specification'],
    ['aes-cbc', 'IV mechanism required'],
    ['aes-cbc-essiv', 'Digest algorithm missing for ESSIV mode'],
    ['capi:cbc(aes)-essiv', 'Digest algorithm missing for ESSIV mode'],
    ['aes-cbc-nothing', 'Invalid IV mode'],
    ['nothing-cbc-plain', 'Error allocating crypto tfm'],
    ['aes-cbc-random', 'Integrity profile not supported.'],
  ];
  for (const [cipher, reason] of refused)
    it(`${cipher}: ${reason}`, () =>
      expect(refusal(() => new CryptConvert({ cipher, key: new Uint8Array(16), provider: 'library' }))).to.equal(
        `${reason} @cipher`,
      ));

  it('IV modes refuse what they cannot do', () => {
    const open = (cipher: string, size: number, sectorSize = 512) =>
      refusal(
        () => new CryptConvert({ cipher, key: new Uint8Array(size).map((_, i) => i), sectorSize, provider: 'library' }),
      );
    expect(open('aes:64-cbc-lmk', 1024, 4096)).to.equal('Error creating IV @cipher');
    expect(open('aes-cbc-tcw', 64, 1024)).to.equal('Error creating IV @cipher');
    expect(open('aes-cbc-tcw', 31)).to.equal('Error decoding and setting key @key');
    expect(open('aes-cbc-elephant', 66)).to.equal('Error decoding and setting key @key');
    expect(open('aes-cbc-plain', 17)).to.equal('Error decoding and setting key @key');
    expect(open('aes-cbc-plain', 16, 768)).to.equal('Invalid feature value for sector_size @sector_size');
    expect(open('aes-cbc-plain', 16, 8192)).to.equal('Invalid feature value for sector_size @sector_size');
  });

  it('iv_offset is whole sectors in 64 bits', () => {
    const open = (ivOffset: bigint, sectorSize: number) =>
      refusal(
        () =>
          new CryptConvert({
            cipher: 'aes-cbc-plain',
            key: new Uint8Array(16),
            sectorSize,
            ivOffset,
            provider: 'library',
          }),
      );
    expect(open(4n, 4096)).to.equal('Invalid iv_offset sector @iv_offset');
    expect(open(1n << 64n, 512)).to.equal('Invalid iv_offset sector @iv_offset');
    expect(open(-1n, 512)).to.equal('Invalid iv_offset sector @iv_offset');
  });

  it('keys', () => {
    expect(parseKey('-')).to.deep.equal({ kind: 'none', size: 0 });
    expect(readKey(parseKey('00fFa'))).to.deep.equal(Buffer.from([0, 255]));
    expect(parseKey(':32:logon:a:b')).to.deep.equal({ kind: 'keyring', size: 32, type: 'logon', description: 'a:b' });
    const setting = 'Error decoding and setting key @key';
    for (const text of ['zz', '0', '00-1', ':32:user:a b', ':32:other:x', ':32:user:', ':32:user'])
      expect(
        refusal(() => parseKey(text)),
        text,
      ).to.equal(setting);
    for (const text of [':', ':32', ':x:user:d', '::user:d'])
      expect(
        refusal(() => parseKey(text)),
        text,
      ).to.equal('Cannot parse key size @key');
    expect(refusal(() => readKey(parseKey(':32:user:d')))).to.equal(setting);
  });

  it('a refused key is not repeated', () => {
    expect(() => parseKey('deadbeefx0')).to.throw(/^(?!.*deadbeef)/);
  });

  it('the cipher in a name', () => {
    for (const name of ['cbc(aes)', 'cryptd(cbc(aes))', 'aes']) expect(blockCipherOf(name)).to.equal('aes');
  });

  it('sector numbers wrap at 64 bits, shifted or not', () => {
    for (const first of [0n, 0xfffffff0n, 0xffff_ffff_ffff_fff0n, 0x1234_ffff_fff8n])
      for (const shift of [0, 1, 3]) {
        const numbers = sectorNumbers(first, 7, 8, shift);
        for (let i = 0; i < 7; i++) {
          const expected = BigInt.asUintN(64, first + BigInt(i * 8)) >> BigInt(shift);
          expect((BigInt(numbers[i * 2 + 1]!) << 32n) | BigInt(numbers[i * 2]!)).to.equal(expected);
        }
      }
  });
});
