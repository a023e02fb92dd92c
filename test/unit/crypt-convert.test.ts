import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { openLanes } from '../../lib/crypto/engine/engine.js';
import { CryptConvert } from '../../lib/crypto/sector/convert.js';
import { md5Block, md5Init } from '../../lib/crypto/sector/md5.js';
import { reference, type Volume } from './crypt-reference.js';

/** Bytes that look random and are the same in every run. */
function bytes(seed: string, size: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, i) =>
    createHash('sha256').update(`${seed} ${i}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, size);
}

const ciphers = {
  'aes-cbc': {
    evp: (size: number) => `aes-${size * 8}-cbc`,
    ecb: (size: number) => `aes-${size * 8}-ecb`,
    keys: [16, 24, 32],
  },
  'aes-xts': {
    evp: (size: number) => `aes-${size * 4}-xts`,
    ecb: (size: number) => `aes-${size * 8}-ecb`,
    keys: [32, 64],
  },
  'camellia-cbc': {
    evp: (size: number) => `camellia-${size * 8}-cbc`,
    ecb: (size: number) => `camellia-${size * 8}-ecb`,
    keys: [16, 32],
  },
};
const ivs = ['plain', 'plain64', 'plain64be', 'null', 'benbi', 'essiv:sha256', 'eboiv', 'elephant', 'tcw'];
const offsets = [0n, 8n, 0xfffffff8n, 0xffff_ffff_ffff_fff8n];

interface Case {
  cipher: keyof typeof ciphers;
  iv: string;
  keySize: number;
  keyCount: number;
  sectorSize: number;
  large: boolean;
  ivOffset: bigint;
}

function* cases(): Generator<Case> {
  for (const cipher of Object.keys(ciphers) as (keyof typeof ciphers)[])
    for (const iv of ivs)
      for (const keySize of ciphers[cipher].keys)
        for (const keyCount of [1, 2, 16])
          for (const sectorSize of [512, 1024, 4096])
            for (const ivOffset of offsets) {
              if (['tcw', 'elephant', 'eboiv'].includes(iv) && (cipher === 'aes-xts' || keyCount > 1)) continue;
              if (iv === 'tcw' && sectorSize > 512) continue;
              for (const large of [false, true]) yield { cipher, iv, keySize, keyCount, sectorSize, large, ivOffset };
            }
}

async function check({ cipher, iv, keySize, keyCount, sectorSize, large, ivOffset }: Case): Promise<void> {
  const extra = iv === 'tcw' ? 32 : iv === 'elephant' ? keySize : 0;
  const name = `${cipher.replace('-', `${keyCount > 1 ? `:${keyCount}` : ''}-`)}-${iv}`;
  const key = bytes(name, keySize * keyCount + extra);
  const { evp, ecb } = ciphers[cipher];
  const volume: Volume = { evp, ecb, iv, key, keyCount, sectorSize, large, ivOffset };
  using convert = new CryptConvert({
    cipher: name,
    key,
    sectorSize,
    ivLargeSectors: large,
    ivOffset,
    provider: 'library',
  });
  const what = `${name} key ${keySize} sector ${sectorSize} large ${large} iv_offset ${ivOffset}`;
  for (const [sector, count] of [
    [0, 1],
    [(sectorSize / 512) * 3, 5],
  ] as const) {
    const plain = bytes(`${what} data`, sectorSize * count);
    const expected = reference(volume, true, BigInt(sector), plain);
    const sealed = Buffer.alloc(plain.length);
    await convert.convert('encrypt', sector, plain, sealed);
    expect(sealed.equals(expected), `${what}: encrypted`).to.equal(true);
    expect(reference(volume, false, BigInt(sector), sealed).equals(plain), `${what}: the formulas`).to.equal(true);
    await convert.convert('decrypt', sector, sealed, sealed);
    expect(sealed.equals(plain), `${what}: decrypted in place`).to.equal(true);
  }
}

describe('dm-crypt: conversion', function () {
  this.timeout(600_000);

  const matrix = [...cases()];
  for (const iv of ivs)
    it(`${iv}: every cipher, key count, sector size and iv_offset as the formulas say`, async () => {
      const mine = matrix.filter((each) => each.iv === iv);
      expect(mine.length).to.be.greaterThan(20);
      for (const each of mine) await check(each);
    });

  it('MD5 blocks add up to MD5', () => {
    for (const size of [0, 1, 55, 56, 64, 119, 1000]) {
      const data = bytes('md5', size);
      const padded = Buffer.alloc(Math.ceil((size + 9) / 64) * 64);
      data.copy(padded);
      padded[size] = 0x80;
      padded.writeUInt32LE(size * 8, padded.length - 8);
      const state = Int32Array.from(md5Init);
      const view = new DataView(padded.buffer, padded.byteOffset, padded.length);
      for (let at = 0; at < padded.length; at += 64) md5Block(state, view, at);
      expect(Buffer.from(state.buffer).toString('hex')).to.equal(createHash('md5').update(data).digest('hex'));
    }
  });

  // The kernel is lmk's reference: test/kernel/crypt.test.ts.
  for (const keys of [64, 65])
    it(`lmk with ${keys} keys: back again, and each sector hangs on its number and on all of its plaintext`, async () => {
      using convert = new CryptConvert({ cipher: 'aes:64-cbc-lmk', key: bytes('lmk', keys * 16), provider: 'library' });
      const plain = bytes('lmk data', 512 * 70);
      const sealed = Buffer.alloc(plain.length);
      await convert.convert('encrypt', 5, plain, sealed);
      const back = Buffer.alloc(plain.length);
      await convert.convert('decrypt', 5, sealed, back);
      expect(back.equals(plain)).to.equal(true);
      const changed = Buffer.from(plain.subarray(0, 512));
      changed[511]! ^= 1;
      const other = Buffer.alloc(512);
      await convert.convert('encrypt', 5, changed, other);
      expect(other.subarray(0, 16).equals(sealed.subarray(0, 16))).to.equal(false);
      await convert.convert('encrypt', 5 + 64, plain.subarray(0, 512), other);
      expect(other.equals(sealed.subarray(0, 512))).to.equal(false);
    });

  it('many bios at once, on lanes and in the caller', async () => {
    const key = bytes('many', 64);
    const plain = bytes('many data', 1 << 18);
    const volume: Volume = {
      evp: () => 'aes-256-xts',
      ecb: () => '',
      iv: 'plain64',
      key,
      keyCount: 1,
      sectorSize: 4096,
      large: false,
      ivOffset: 0n,
    };
    const expected = reference(volume, true, 0n, plain);
    const engine = openLanes(3);
    try {
      for (const each of ['sync', engine] as const) {
        using convert = new CryptConvert({
          cipher: 'aes-xts-plain64',
          key,
          sectorSize: 4096,
          provider: 'library',
          engine: each,
        });
        const sealed = Buffer.alloc(plain.length);
        await Promise.all(
          Array.from({ length: 16 }, (_, i) => {
            const range = [i << 14, (i + 1) << 14] as const;
            return convert.convert('encrypt', i * 32, plain.subarray(...range), sealed.subarray(...range));
          }),
        );
        expect(sealed.equals(expected)).to.equal(true);
      }
    } finally {
      engine.close();
    }
  });

  it('cipher_null copies', async () => {
    using convert = new CryptConvert({
      cipher: 'capi:ecb(cipher_null)-plain64',
      key: new Uint8Array(0),
      provider: 'library',
    });
    const plain = bytes('null', 1024);
    const out = Buffer.alloc(1024);
    await convert.convert('encrypt', 0, plain, out);
    expect(out.equals(plain)).to.equal(true);
  });

  it('names the sectors that failed', async () => {
    const failing = {
      name: 'manual' as const,
      depth: 1,
      submit: (work: { result: number; status?: Int32Array }) => {
        work.status?.fill(512);
        work.status!.set([-5, 512, -5]);
        work.result = -5;
        return 'done' as const;
      },
      room: () => Promise.resolve(),
      close: () => {},
    };
    for (const [cipher, size, sectors] of [
      ['aes-cbc-plain', 16, [8, 10]],
      ['aes:2-cbc-plain', 32, [8, 9, 12, 13]],
    ] as const) {
      using convert = new CryptConvert({
        cipher,
        key: bytes('key', size),
        provider: 'library',
        engine: failing as never,
      });
      const data = Buffer.alloc(512 * 6);
      const error = await convert.convert('encrypt', 8, data, data).then(
        () => undefined,
        (reason) => reason,
      );
      expect(error).to.include({ name: 'SectorError' });
      expect(error.sectors).to.deep.equal(sectors);
    }
  });
});
