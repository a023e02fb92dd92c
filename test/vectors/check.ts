import { expect } from 'chai';
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  decrypt,
  encrypt,
  hash,
  type SealOptions,
  Tfm,
} from '../../lib/index.js';
import type { Vector } from './response-file.js';

export type Provider = 'kernel' | 'library';

/** Checks one vector. Throws where it does not hold. `index` says which of the file's it is. */
export type Check = (provider: Provider, vector: Vector, index: number) => void;

/** Every so many vectors the message goes in pieces of odd sizes as well. */
const streamEvery = 5;

function* oddPieces(data: Uint8Array): Generator<Uint8Array> {
  const sizes = [1, 7, 16, 3, 33, 64, 5, 129];
  for (let at = 0, turn = 0; at < data.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    yield data.subarray(at, at + size);
    at += size;
  }
}

interface Case {
  key: Buffer;
  iv: Buffer | null;
  plain: Buffer;
  sealed: Buffer;
}

/** A cipher without padding: both directions, at once and in pieces. */
function cipher(name: string, read: (vector: Vector) => Case): Check {
  return (provider, vector, index) => {
    const { key, iv, plain, sealed } = read(vector);
    const options = { key, iv, provider, autoPadding: false };
    expectBytes(encrypt(name, options, plain), sealed, 'encrypted');
    expectBytes(decrypt(name, options, sealed), plain, 'decrypted');
    if (index % streamEvery) return;
    for (const [create, from, to] of [
      [createCipheriv, plain, sealed],
      [createDecipheriv, sealed, plain],
    ] as const) {
      const stream = create(name, key, iv, { provider }).setAutoPadding(false);
      const output = [...oddPieces(from)].map((piece) => stream.update(piece));
      expectBytes(Buffer.concat([...output, stream.final()]), to, `${create.name} in pieces`);
    }
  };
}

function keyOf(vector: Vector): Buffer {
  if (vector.has('KEYs')) return Buffer.concat([vector.bytes('KEYs'), vector.bytes('KEYs'), vector.bytes('KEYs')]);
  if (vector.has('KEY1')) return Buffer.concat(['KEY1', 'KEY2', 'KEY3'].map((name) => vector.bytes(name)));
  return vector.bytes('KEY');
}

export function modeOfBlocks(name: string): Check {
  return cipher(name, (vector) => ({
    key: keyOf(vector),
    iv: name.startsWith('ecb') ? null : vector.bytes('IV'),
    plain: vector.bytes('PLAINTEXT'),
    sealed: vector.bytes('CIPHERTEXT'),
  }));
}

export const xts = cipher('xts(aes)', (vector) => {
  const iv = Buffer.alloc(16);
  // The number of a data unit is the tweak as a little-endian number (IEEE 1619, 5.1).
  if (vector.has('i')) vector.bytes('i').copy(iv);
  else iv.writeBigUInt64LE(BigInt(vector.text('DataUnitSeqNumber')));
  return { key: vector.bytes('Key'), iv, plain: vector.bytes('PT'), sealed: vector.bytes('CT') };
});

/** RFC 7539's vectors have nonce and block counter; the kernel's IV is both (lib/crypto/chacha.c). */
export const chacha20 = cipher('chacha20', (vector) => {
  const counter = Buffer.alloc(4);
  counter.writeUInt32LE(vector.number('INITIAL_BLOCK_COUNTER'));
  return {
    key: vector.bytes('KEY'),
    iv: Buffer.concat([counter, vector.bytes('NONCE')]),
    plain: vector.bytes('PLAINTEXT'),
    sealed: vector.bytes('CIPHERTEXT'),
  };
});

interface AeadCase extends Case {
  iv: Buffer;
  aad: Buffer;
  authTagLength: number;
  /** Whether it is one that must be refused as not authentic. */
  forged: boolean;
}

function aead(name: string, nonceSize: (size: number) => boolean, read: (vector: Vector) => AeadCase): Check {
  return (provider, vector, index) => {
    const { key, iv, aad, authTagLength, forged, plain, sealed } = read(vector);
    const options: SealOptions = { key, iv, aad, authTagLength, provider };
    if (!nonceSize(iv.length)) {
      // The kernel's takes nonces of one size only; others must be refused, not cut.
      expect(() => decrypt(name, options, sealed)).to.throw(RangeError, /^iv: expected /);
      return;
    }
    if (forged) {
      expect(() => decrypt(name, options, sealed))
        .to.throw()
        .with.property('code', 'EBADMSG');
      return;
    }
    expectBytes(encrypt(name, options, plain), sealed, 'encrypted');
    expectBytes(decrypt(name, options, sealed), plain, 'decrypted');
    if (index % streamEvery) return;
    const text = sealed.subarray(0, plain.length);
    const tag = sealed.subarray(plain.length);
    const streamed = createCipheriv(name, key, iv, { provider, authTagLength }).setAAD(aad);
    const output = [...oddPieces(plain)].map((piece) => streamed.update(piece));
    expectBytes(Buffer.concat([...output, streamed.final()]), text, 'encrypted in pieces');
    expectBytes(streamed.getAuthTag(), tag, 'tag');
    const opened = createDecipheriv(name, key, iv, { provider, authTagLength }).setAAD(aad).setAuthTag(tag);
    for (const piece of oddPieces(text)) expect(opened.update(piece)).to.have.length(0);
    expectBytes(opened.final(), plain, 'decrypted in pieces');
  };
}

export const gcm = aead(
  'gcm(aes)',
  (size) => size === 12,
  (vector) => {
    const tag = vector.bytes('Tag');
    const forged = vector.has('FAIL');
    return {
      key: vector.bytes('Key'),
      iv: vector.bytes('IV'),
      aad: vector.bytes('AAD'),
      plain: forged ? Buffer.alloc(0) : vector.bytes('PT'),
      sealed: Buffer.concat([vector.bytes('CT'), tag]),
      authTagLength: tag.length,
      forged,
    };
  },
);

/** Fields of length 0 are written as one zero byte in these files, so the lengths decide. */
export const ccm = aead(
  'ccm(aes)',
  (size) => size >= 7 && size <= 13,
  (vector) => {
    const forged = vector.has('Result') && vector.text('Result').startsWith('Fail');
    return {
      key: vector.bytes('Key'),
      iv: vector.bytes('Nonce'),
      aad: vector.bytes('Adata').subarray(0, vector.number('Alen')),
      plain: forged ? Buffer.alloc(0) : vector.bytes('Payload').subarray(0, vector.number('Plen')),
      sealed: vector.bytes('CT'),
      authTagLength: vector.number('Tlen'),
      forged,
    };
  },
);

export function chachaPoly(names: { iv: string; aad: string; plain: string; sealed: string }): Check {
  return aead(
    'rfc7539(chacha20,poly1305)',
    (size) => size === 12,
    (vector) => ({
      key: vector.bytes('KEY'),
      iv: vector.bytes(names.iv),
      aad: vector.bytes(names.aad),
      plain: vector.bytes(names.plain),
      sealed: Buffer.concat([vector.bytes(names.sealed), vector.bytes('Tag')]),
      authTagLength: 16,
      forged: vector.has('Result'),
    }),
  );
}

function checkDigest(
  provider: Provider,
  name: string,
  key: Buffer | undefined,
  message: Buffer,
  digest: Buffer,
  index: number,
) {
  const options = { provider, ...(key && { key }) };
  expectBytes(hash(name, message, options), digest, 'digest');
  if (index % streamEvery) return;
  const streamed = createHash(name, options);
  for (const piece of oddPieces(message)) streamed.update(piece);
  expectBytes(streamed.digest(), digest, 'digest in pieces');
}

export function digest(name: string): Check {
  return (provider, vector, index) => {
    const message = vector.bytes('Msg').subarray(0, vector.number('Len') / 8);
    checkDigest(provider, name, undefined, message, vector.bytes('MD'), index);
  };
}

export function hmac(name: string): Check {
  return (provider, vector, index) =>
    checkDigest(provider, `hmac(${name})`, vector.bytes('Key'), vector.bytes('Msg'), vector.bytes('MD'), index);
}

export function cmac(name: string): Check {
  return (provider, vector, index) =>
    checkDigest(provider, `cmac(${name})`, keyOf(vector), vector.bytes('MESSAGE'), vector.bytes('OUTPUT'), index);
}

/**
 * Monte Carlo: 1000 digests, each of the ones before it, from a seed; its result seeds the next vector, so that each can be
 * checked alone. `width`: how many digests go into a message, 3 for SHA-1 and SHA-2 (SHAVS 6.4), 1 for SHA-3 (SHA3VS 6.2.3).
 */
export function monteCarlo(name: string, width: number): (provider: Provider, seed: Buffer, expected: Buffer) => void {
  return (provider, seed, expected) => {
    using tfm = new Tfm('hash', name, { provider });
    const request = tfm.request();
    const size = seed.length;
    const message = Buffer.concat(Array(width).fill(seed));
    const dst = Buffer.alloc(size);
    request.src = message;
    request.dst = dst;
    for (let turn = 0; turn < 1000; turn++) {
      request.runSync();
      message.copy(message, 0, size);
      dst.copy(message, (width - 1) * size);
    }
    expectBytes(dst, expected, 'digest');
  };
}

function expectBytes(got: Uint8Array, expected: Uint8Array, what: string): void {
  expect(Buffer.from(got).toString('hex'), what).to.equal(Buffer.from(expected).toString('hex'));
}
