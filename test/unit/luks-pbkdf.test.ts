import { expect } from 'chai';
import { binding } from '../../lib/base/binding.js';
import { mergeKey, splitKey } from '../../lib/luks/anti-forensic.js';
import { derive, measurePbkdf, memoryKibibytes, type Pbkdf, pbkdfLimits } from '../../lib/luks/pbkdf.js';

async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  return promise.then(
    () => expect.fail('it did not fail'),
    (error) => error,
  );
}

describe('keys from passphrases', function () {
  this.timeout(120_000);

  /** The tests of the reference code (test.c), which RFC 9106 refers to for implementations without associated data. */
  const argon2: [
    type: 'argon2i' | 'argon2id',
    passes: number,
    kib: number,
    lanes: number,
    pw: string,
    salt: string,
    hex: string,
  ][] = [
    [
      'argon2i',
      2,
      65536,
      1,
      'password',
      'somesalt',
      'c1628832147d9720c5bd1cfd61367078729f6dfb6f8fea9ff98158e0d7816ed0',
    ],
    ['argon2i', 2, 256, 1, 'password', 'somesalt', '89e9029f4637b295beb027056a7336c414fadd43f6b208645281cb214a56452f'],
    ['argon2i', 2, 256, 2, 'password', 'somesalt', '4ff5ce2769a1d7f4c8a491df09d41a9fbe90e5eb02155a13e4c01e20cd4eab61'],
    [
      'argon2i',
      1,
      65536,
      1,
      'password',
      'somesalt',
      'd168075c4d985e13ebeae560cf8b94c3b5d8a16c51916b6f4ac2da3ac11bbecf',
    ],
    [
      'argon2id',
      2,
      65536,
      1,
      'password',
      'somesalt',
      '09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7',
    ],
    ['argon2id', 2, 256, 1, 'password', 'somesalt', '9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe'],
    ['argon2id', 2, 256, 2, 'password', 'somesalt', '6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037'],
    [
      'argon2id',
      4,
      65536,
      1,
      'password',
      'somesalt',
      '9025d48e68ef7395cca9079da4c4ec3affb3c8911fe4f86d1a2520856f63172c',
    ],
    [
      'argon2id',
      2,
      65536,
      1,
      'differentpassword',
      'somesalt',
      '0b84d652cf6b0c4beaef0dfe278ba6a80df6696281d7e0d2891b817d8c458fde',
    ],
    [
      'argon2id',
      2,
      65536,
      1,
      'password',
      'diffsalt',
      'bdf32b05ccc42eb15d58fd19b1f856b113da1e9a5874fdcc544308565aa8141c',
    ],
  ];
  for (const [type, passes, kibibytes, lanes, password, salt, hex] of argon2)
    it(`${type}, ${passes} passes, ${kibibytes} KiB, ${lanes} lanes, ${password}, ${salt}`, async () => {
      const key = await derive({ type, passes, kibibytes, lanes }, Buffer.from(password), Buffer.from(salt), 32);
      expect(key.toString('hex')).to.equal(hex);
    });

  it('pbkdf2: RFC 6070, and the hash names of LUKS headers', async () => {
    const key = (hash: string, iterations: number, size: number) =>
      derive({ type: 'pbkdf2', hash, iterations }, Buffer.from('password'), Buffer.from('salt'), size);
    expect((await key('sha1', 4096, 20)).toString('hex')).to.equal('4b007901b765489abead49d926f721d065a429c1');
    expect((await key('SHA1', 1, 20)).toString('hex')).to.equal('0c60c80f961f0e71f3a9b524af6012062fe037a6');
    for (const hash of ['blake2b-512', 'blake2s-256', 'sha3-256', 'ripemd160'])
      expect(await key(hash, 2, 16)).to.have.length(16);
    expect((await failure(key('whirlwind', 1, 20))).message).to.match(/hash whirlwind: this Node\.js has no such hash/);
  });

  it('costs beyond the limits are refused before any work', async () => {
    const bad: [Pbkdf, RegExp, string?][] = [
      [{ type: 'pbkdf2', hash: 'sha256', iterations: 0 }, /iteration count is 0/],
      [{ type: 'pbkdf2', hash: 'sha256', iterations: 2 ** 32 }, /iteration count/],
      [{ type: 'argon2id', passes: 0, kibibytes: 64, lanes: 1 }, /time cost is 0/],
      [{ type: 'argon2id', passes: 2 ** 32 - 1, kibibytes: 1 << 20, lanes: 1 }, /time cost/],
      [{ type: 'argon2id', passes: 1, kibibytes: pbkdfLimits.kibibytes + 1, lanes: 1 }, /memory cost/],
      [{ type: 'argon2id', passes: 1, kibibytes: 7, lanes: 1 }, /memory cost/],
      [{ type: 'argon2i', passes: 1, kibibytes: 64, lanes: 0 }, /parallel cost is 0/],
      [{ type: 'argon2i', passes: 1, kibibytes: 1 << 20, lanes: 1 << 20 }, /parallel cost/],
    ];
    for (const [pbkdf, message] of bad) {
      const error = await failure(derive(pbkdf, Buffer.from('x'), Buffer.alloc(16), 32));
      expect(error.message).to.match(message);
      expect(error.code).to.equal('EINVAL');
    }
  });

  it('memory that the machine has not is an error with a remedy', async () => {
    const limit = process.constrainedMemory;
    process.constrainedMemory = () => 1 << 20;
    try {
      expect(memoryKibibytes()).to.equal(1024);
      const error = await failure(
        derive({ type: 'argon2id', passes: 1, kibibytes: 2048, lanes: 1 }, Buffer.from('x'), Buffer.alloc(16), 32),
      );
      expect(error.code).to.equal('ENOMEM');
      expect(error.message).to.match(/needs 2048 KiB.*--pbkdf-memory/);
    } finally {
      process.constrainedMemory = limit;
    }
  });

  it('native: what is no bytes is refused; a buffer detached meanwhile is not written', async () => {
    const bytes = Buffer.alloc(32);
    const call = (...args: unknown[]) => (binding().argon2 as (...args: unknown[]) => number)(...args);
    expect(call(2, 1, 64, 1, 'x', bytes, bytes, () => {})).to.equal(-22);
    expect(call(0, 1, 64, 1, bytes, bytes, bytes, () => {})).to.equal(-22);
    expect(call(2, 1, 64, 1, bytes, bytes, bytes)).to.equal(-22);
    const into = new Uint8Array(32);
    const result = new Promise((resolve) => call(2, 1, 64, 1, bytes, bytes, into, resolve));
    structuredClone(into.buffer, { transfer: [into.buffer] });
    expect(await result).to.equal(-22);
  });

  it('measured costs take about the memory that is allowed, and at least the least passes', async () => {
    const found = await measurePbkdf({ type: 'argon2id', hash: 'sha256', iterTime: 1, kibibytes: 1024, lanes: 2 }, 32);
    expect(found).to.deep.equal({ type: 'argon2id', passes: 4, kibibytes: 1024, lanes: 2 });
    const forced = await measurePbkdf({ type: 'pbkdf2', hash: 'sha256', iterTime: 1, forceIterations: 1234 }, 32);
    expect(forced).to.deep.equal({ type: 'pbkdf2', hash: 'sha256', iterations: 1234 });
    const least = await measurePbkdf({ type: 'pbkdf2', hash: 'sha512', iterTime: 0.001 }, 32);
    expect(least).to.deep.equal({ type: 'pbkdf2', hash: 'sha512', iterations: 1000 });
  });
});

describe('the anti-forensic splitter', () => {
  for (const [hash, size, stripes] of [
    ['sha256', 64, 4000],
    ['sha1', 32, 4000],
    ['sha512', 33, 7],
    ['sha256', 16, 2],
    ['ripemd160', 20, 1],
  ] as const)
    it(`${hash}, ${size} bytes, ${stripes} stripes: together again; one changed byte loses the key`, () => {
      const key = Buffer.alloc(size, 0x5a);
      const material = splitKey(key, stripes, hash);
      expect(material).to.have.length(size * stripes);
      expect(mergeKey(material, size, stripes, hash).equals(key)).to.equal(true);
      expect(splitKey(key, stripes, hash).equals(material)).to.equal(stripes === 1);
      material[0]! ^= 1;
      expect(mergeKey(material, size, stripes, hash).equals(key)).to.equal(false);
    });
});
