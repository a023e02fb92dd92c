import nodeCrypto, { createSecretKey, KeyObject } from 'node:crypto';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import { createCipheriv, createDecipheriv, createHash, createHmac } from '../../../lib/index.js';

const provider = 'library' as const;
const key = Buffer.alloc(32, 5);
const iv = Buffer.alloc(16, 6);

/** What a call gives: its value, or that it throws, with the code where node:crypto's is an argument's. */
function outcome(call: () => unknown): unknown {
  try {
    const value = call();
    return Buffer.isBuffer(value) ? value.toString('hex') : value;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return /^ERR_INVALID_ARG/.test(code ?? '') ? code : 'throws';
  }
}

/** The same for both: theirs, and ours. */
function alike<T>(make: () => [theirs: T, ours: T], use: (object: T) => unknown): void {
  const [theirs, ours] = make();
  expect(outcome(() => use(ours))).to.deep.equal(outcome(() => use(theirs)));
}

describe('the contract of node:crypto', function () {
  this.timeout(120_000);
  const hashes = (options?: object) => (): [nodeCrypto.Hash, nodeCrypto.Hash] => [
    nodeCrypto.createHash('sha256', options),
    createHash('sha256', { provider, ...options }) as unknown as nodeCrypto.Hash,
  ];
  const ciphers =
    (node = 'aes-256-cbc', name = 'cbc(aes)', options?: object) =>
    (): [nodeCrypto.Cipher, nodeCrypto.Cipher] => [
      nodeCrypto.createCipheriv(node, key, iv, options as never),
      createCipheriv(name, key, iv, { provider, ...options }) as unknown as nodeCrypto.Cipher,
    ];

  it('a hash after a pipeline gives its digest, once', async () => {
    const [theirs, ours] = hashes()();
    for (const hash of [theirs, ours]) await pipeline(Readable.from(['hello']), hash);
    for (const use of [(hash: nodeCrypto.Hash) => hash.digest('hex'), (hash: nodeCrypto.Hash) => hash.digest('hex')])
      expect(outcome(() => use(ours))).to.deep.equal(outcome(() => use(theirs)));
  });

  it('write, end and read in one turn', () => {
    const use = (stream: Transform) => {
      stream.write('hello');
      stream.end();
      return stream.read();
    };
    alike<Transform>(hashes(), use);
    alike<Transform>(ciphers(), use);
    alike<Transform>(ciphers('aes-256-ctr', 'ctr(aes)'), use);
  });

  const data = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  );
  const hashCall = fc.oneof(
    data.map((part) => ({ name: 'update', call: (hash: nodeCrypto.Hash) => void hash.update(part) })),
    fc.constantFrom(
      { name: 'digest', call: (hash: nodeCrypto.Hash) => hash.digest('hex') },
      { name: 'copy', call: (hash: nodeCrypto.Hash) => hash.copy().digest('hex') },
      { name: 'end', call: (hash: nodeCrypto.Hash) => void hash.end() },
      { name: 'read', call: (hash: nodeCrypto.Hash) => hash.read() },
    ),
    data
      .filter((part) => part.length > 0)
      .map((part) => ({ name: 'write', call: (hash: nodeCrypto.Hash) => void hash.write(part) })),
  );

  /** After its end node:crypto's hash takes data, and forgets it, and its copies have a wrong digest: neither is imitated. */
  const isContract = (calls: { name: string }[]) => {
    const end = calls.findIndex(({ name }) => name === 'end' || name === 'digest');
    return end < 0 || calls.slice(end + 1).every(({ name }) => !['update', 'write', 'copy'].includes(name));
  };

  it('a copy after the end has the digest, and takes no more', async () => {
    const hash = createHash('sha256', { provider });
    await pipeline(Readable.from(['hello']), hash);
    const copy = hash.copy();
    expect(copy.digest('hex')).to.equal(nodeCrypto.createHash('sha256').update('hello').digest('hex'));
    expect(() => copy.digest()).to.throw(/Digest already called/);
    expect(() => hash.copy().update('x')).to.throw(/Digest already called/);
    expect(hash.digest('hex')).to.equal(nodeCrypto.createHash('sha256').update('hello').digest('hex'));
  });

  it('any calls on a hash, in any order', () => {
    fc.assert(
      fc.property(fc.array(hashCall, { maxLength: 8 }).filter(isContract), (calls) => {
        const [theirs, ours] = hashes()();
        for (const hash of [theirs, ours]) hash.on('error', () => {});
        for (const { name, call } of calls)
          expect(
            outcome(() => call(ours)),
            name,
          ).to.deep.equal(outcome(() => call(theirs)));
      }),
      { numRuns: 3000, seed: 31 },
    );
  });

  for (const [node, name] of [
    ['aes-256-cfb', 'cfb(aes)'],
    ['aes-256-ofb', 'ofb(aes)'],
    ['aes-256-ctr', 'ctr(aes)'],
    ['aes-256-cbc', 'cbc(aes)'],
    ['chacha20', 'chacha20'],
  ] as const)
    it(`${name}: any pieces, both directions, the same bytes at the same time`, () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 8 }), fc.boolean(), (parts, isStream) => {
          const [theirs, ours] = ciphers(node, name)();
          const sealed: Buffer[] = [];
          for (const part of parts) {
            const expected = theirs.update(part);
            sealed.push(expected);
            if (isStream) {
              ours.write(Buffer.from(part));
              expect(((ours.read() as Buffer | null) ?? Buffer.alloc(0)).equals(expected)).to.equal(true);
            } else expect(ours.update(part).equals(expected)).to.equal(true);
          }
          const last = theirs.final();
          sealed.push(last);
          if (isStream) ours.end();
          const ourLast = isStream ? ((ours.read() as Buffer | null) ?? Buffer.alloc(0)) : ours.final();
          expect(ourLast.equals(last)).to.equal(true);
          const back = createDecipheriv(name, key, iv, { provider });
          const their = nodeCrypto.createDecipheriv(node, key, iv);
          for (const part of sealed) expect(back.update(part).equals(their.update(part))).to.equal(true);
          expect(back.final().equals(their.final())).to.equal(true);
        }),
        { numRuns: 500, seed: 32 },
      );
    });

  it('encodings', () => {
    for (const [text, encoding] of [
      ['abc', 'hex'],
      ['abcd', 'hex'],
      ['zz', 'hex'],
      ['abc', 'HEX'],
      ['aGk', 'base64'],
      ['hi', 'utf16le'],
    ] as const) {
      alike(hashes(), (hash) => hash.update(text, encoding as 'hex').digest('base64url'));
      alike(ciphers(), (cipher) => cipher.update(text, encoding as 'hex', 'hex') + cipher.final('hex'));
    }
    for (const [first, then] of [
      ['hex', 'hex'],
      ['utf8', 'utf-8'],
      ['utf8', 'UTF8'],
      ['latin1', 'binary'],
      ['hex', 'base64'],
    ] as const)
      alike(ciphers(), (cipher) => {
        try {
          return cipher.update('x'.repeat(33), 'utf8', first) + cipher.final(then as 'hex');
        } catch {
          return 'throws'; // an assertion there, a TypeError here
        }
      });
  });

  it('options of the stream', () => {
    for (const options of [
      { highWaterMark: 7 },
      { readableHighWaterMark: 5, writableHighWaterMark: 6 },
      { encoding: 'hex' },
      { defaultEncoding: 'hex' },
    ]) {
      const look = (stream: Transform) => [
        stream.readableHighWaterMark,
        stream.writableHighWaterMark,
        stream.readableEncoding,
      ];
      const run = (stream: Transform) => {
        stream.write('abcd');
        stream.end();
        return stream.read();
      };
      for (const use of [look, run]) {
        alike<Transform>(hashes(options), use);
        alike<Transform>(ciphers(undefined, undefined, options), use);
      }
    }
    for (const outputLength of [32, 31, 33, 0])
      expect(outcome(() => createHash('sha256', { provider, outputLength }).digest('hex')) === 'throws').to.equal(
        outputLength !== 32,
      );
  });

  it('keys as KeyObject', () => {
    const object = createSecretKey(key);
    const expected = nodeCrypto.createHmac('sha256', object).update('x').digest('hex');
    expect(createHmac('sha256', object, { provider }).update('x').digest('hex')).to.equal(expected);
    const sealed = createCipheriv('cbc(aes)', object, iv, { provider });
    const theirs = nodeCrypto.createCipheriv('aes-256-cbc', object, iv);
    expect(sealed.update('abc', 'utf8', 'hex') + sealed.final('hex')).to.equal(
      theirs.update('abc', 'utf8', 'hex') + theirs.final('hex'),
    );
    const { publicKey } = nodeCrypto.generateKeyPairSync('ed25519');
    expect(publicKey).to.be.instanceOf(KeyObject);
    expect(() => createHmac('sha256', publicKey as never, { provider })).to.throw(TypeError, /expected a secret key/);
  });

  it('errors of arguments have its codes', () => {
    expect(outcome(() => createHash(1 as never))).to.equal('ERR_INVALID_ARG_TYPE');
    expect(outcome(() => createHash('sha256', { provider }).update(1 as never))).to.equal('ERR_INVALID_ARG_TYPE');
    expect(outcome(() => createHash('sha256', { provider: 'x' as never }))).to.equal('ERR_INVALID_ARG_VALUE');
  });
});
