import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { type Direction, ivRule } from '../../lib/crypto/request/iv.js';

const key = Buffer.alloc(32, 1);

/** Encrypts in one go, and in two with the rule's IV between: the same bytes if the rule is right. */
function checkRule(algorithm: string, node: string, iv: Buffer, cut: number): void {
  const rule = ivRule(algorithm)!;
  const plain = Buffer.alloc(cut + 256, 0x5a);
  const run = (from: Buffer, with_: Uint8Array) => createCipheriv(node, key, with_).setAutoPadding(false).update(from);
  const whole = run(plain, iv);
  const next = new Uint8Array(iv.length);
  rule.advance('encrypt', iv, plain.subarray(0, cut), whole.subarray(0, cut), next);
  expect(run(plain.subarray(cut), next).equals(whole.subarray(cut)), `${algorithm} cut at ${cut}`).to.equal(true);
  const inPlace = Uint8Array.from(iv);
  rule.advance('decrypt', inPlace, whole.subarray(0, cut), plain.subarray(0, cut), inPlace);
  expect(Buffer.from(inPlace).toString('hex'), 'in place, decrypting').to.equal(Buffer.from(next).toString('hex'));
}

describe('how an IV goes on', () => {
  it('cbc and cfb: the last block of ciphertext', () => {
    for (const cut of [16, 32, 4096]) {
      checkRule('cbc(aes)', 'aes-256-cbc', Buffer.alloc(16, 3), cut);
      checkRule('cfb(aes)', 'aes-256-cfb', Buffer.alloc(16, 3), cut);
    }
  });

  it('ctr: a counter of 128 bits, big-endian, with carry', () => {
    for (const iv of [
      Buffer.alloc(16),
      Buffer.alloc(16, 0xff),
      Buffer.from('000000000000000000000000ffffffff', 'hex'),
      Buffer.from('00000000000000ffffffffffffffffff', 'hex'),
      Buffer.from('0000000000000000000000000000fffe', 'hex'),
    ])
      for (const cut of [16, 48, 16 * 257, 16 * 70_000]) checkRule('ctr(aes)', 'aes-256-ctr', iv, cut);
  });

  it('chacha20: a counter of 32 bits, little-endian, in front of the nonce', () => {
    for (const start of ['00000000', 'feffff00', 'fe000000'])
      for (const cut of [64, 128, 64 * 300])
        checkRule('chacha20', 'chacha20', Buffer.from(`${start}0102030405060708090a0b0c`, 'hex'), cut);
    // lib/crypto/chacha.c: the counter wraps, and leaves the nonce alone.
    const iv = Buffer.from('ffffffff0102030405060708090a0b0c', 'hex');
    ivRule('chacha20')!.advance('encrypt', iv, Buffer.alloc(128), iv, iv);
    expect(iv.toString('hex')).to.equal('010000000102030405060708090a0b0c');
  });

  it('a part of a block counts as one', () => {
    const iv = Buffer.alloc(16);
    ivRule('ctr(aes)')!.advance('encrypt', iv, Buffer.alloc(17), iv, iv);
    expect(iv.at(-1)).to.equal(2);
  });

  it('is known before the request has run, except where it is a result', () => {
    const known = (algorithm: string, direction: Direction) => ivRule(algorithm)?.known(direction);
    expect(known('cbc(aes)', 'encrypt')).to.equal(false);
    expect(known('ofb(aes)', 'decrypt')).to.equal(false);
    expect(known('cbc(aes)', 'decrypt')).to.equal(true);
    for (const direction of ['encrypt', 'decrypt'] as const)
      for (const algorithm of ['ctr(aes)', 'ctr(sm4)', 'chacha20']) expect(known(algorithm, direction)).to.equal(true);
  });

  it('does not go on where nothing chains, or nobody knows', () => {
    for (const name of ['xts(aes)', 'ecb(aes)', 'gcm(aes)', 'cbc-aes-aesni', 'essiv(cbc(aes),sha256)', ''])
      expect(ivRule(name), name).to.equal(undefined);
  });
});
