import { createCipheriv, createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { SyncEngine } from '../../lib/crypto/engine/engine.js';
import { AlgError, Tfm } from '../../lib/index.js';
import { ReedSolomon, wordSize } from '../../lib/verity/fec/reed-solomon.js';
import { seed } from './seed.js';

const provider = 'library' as const;
const bytes = (maxLength: number, minLength = 0) => fc.uint8Array({ minLength, maxLength });

/** A copy that ends where its memory ends, for a sanitizer to see what is beyond. */
const tight = (from: Uint8Array) => new Uint8Array(from);

/**
 * Bytes from outside in native code, through its bindings; below them fuzz.cc does the same with libFuzzer, where clang is. Under `make asan` what is
 * out of bounds or undefined ends the process.
 */
describe('native code and any bytes', function () {
  this.timeout(0);
  const runs = { seed, numRuns: 300 };

  it('Reed-Solomon: words that are anything, with any erasures', async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 2, max: 24 }),
      fc.integer({ min: 1, max: 70 }),
      fc.nat(wordSize),
      fc.array(fc.nat(wordSize - 1), { maxLength: 24 }),
      fc.nat(2 ** 31 - 1),
      async (roots, columns, rows, symbols, fill) => {
        const code = new ReedSolomon(roots, new SyncEngine());
        const noise = (length: number) =>
          tight(createCipheriv('aes-128-ctr', Buffer.alloc(16, fill), Buffer.alloc(16)).update(Buffer.alloc(length)));
        const [message, parity] = [noise(columns * code.messageSize), noise(columns * roots)];
        const before = Buffer.from(message);
        const { status } = await code.decode(
          message,
          parity,
          Math.min(rows, code.messageSize),
          symbols.slice(0, roots),
        );
        status.forEach((corrected, column) => {
          expect(corrected).to.be.within(-1, roots);
          const isSame = before.every((byte, at) => at % columns !== column || byte === message[at]);
          if (corrected < 0) expect(isSame, 'a word that cannot be corrected stays').to.equal(true);
        });
      },
    );
    await fc.assert(property, { ...runs, numRuns: 100 });
  });

  it('SHA-256 of units of any length, with any salt in front or behind', () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 700 }),
      fc.integer({ min: 1, max: 5 }),
      bytes(256),
      fc.boolean(),
      fc.nat(40),
      fc.nat(255),
      (unitSize, count, saltBytes, isFirst, gap, fill) => {
        using tfm = new Tfm('hash', 'sha256', { provider, engine: 'sync' });
        const src = new Uint8Array(unitSize * count).map((_, at) => fill + at * 7);
        const dst = new Uint8Array(count * (32 + gap)).fill(0x5a);
        const salt = { bytes: tight(saltBytes), place: isFirst ? ('first' as const) : ('last' as const) };
        const fields = { direction: 'encrypt', unitSize, ivs: null, src, dst, dstStride: 32 + gap, salt } as const;
        tfm.batch(fields).runSync();
        for (let unit = 0; unit < count; unit++) {
          const own = src.subarray(unit * unitSize, (unit + 1) * unitSize);
          const parts = isFirst ? [saltBytes, own] : [own, saltBytes];
          const right = parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
          const at = unit * (32 + gap);
          expect(right.equals(dst.subarray(at, at + 32)), `unit ${unit}`).to.equal(true);
          expect(dst.subarray(at + 32, at + 32 + gap).every((byte) => byte === 0x5a)).to.equal(true);
        }
      },
    );
    fc.assert(property, runs);
  });

  const ciphers = [
    'cbc(aes)',
    'ecb(aes)',
    'ctr(aes)',
    'xts(aes)',
    'gcm(aes)',
    'ccm(aes)',
    'rfc7539(chacha20,poly1305)',
    'chacha20',
  ];

  it('ciphers with data, IVs and associated data of any length: a result, or a refusal', () => {
    const property = fc.property(
      fc.constantFrom(...ciphers),
      fc.constantFrom('encrypt', 'decrypt'),
      bytes(90),
      fc.option(bytes(20)),
      fc.nat(40),
      fc.integer({ min: -20, max: 20 }),
      (name, direction, data, iv, assoc, more) => {
        const type = /gcm|ccm|7539/.test(name) ? 'aead' : 'skcipher';
        const key = new Uint8Array(name === 'xts(aes)' ? 64 : 32).map((_, at) => at);
        using tfm = new Tfm(type, name, { provider, engine: 'sync', key });
        const dst = new Uint8Array(Math.max(0, data.length + more));
        try {
          const fields = {
            direction,
            src: tight(data),
            dst,
            iv: iv && tight(iv),
            ...(type === 'aead' && { assocLength: assoc }),
          };
          const size = Object.assign(tfm.request(), fields).runSync();
          expect(size).to.be.at.most(dst.length);
        } catch (error) {
          expect(
            error instanceof AlgError || error instanceof RangeError || error instanceof TypeError,
            String(error),
          ).to.equal(true);
        }
      },
    );
    fc.assert(property, { ...runs, numRuns: 2000 });
  });
});
