import { createCipheriv, createHash, createHmac } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { AlgError, openAio, openLanes, Tfm } from '../../lib/index.js';
import { seeded } from '../support/manual-engine.js';

const provider = 'kernel' as const;
const key = Buffer.alloc(32, 7);
const iv = Buffer.alloc(16, 1);
const descriptors = () => readdirSync('/proc/self/fd').length;

function bytes(size: number, seed = size): Buffer {
  const next = seeded(seed);
  return Buffer.from(Uint8Array.from({ length: size }, () => next() * 256));
}

function code(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).to.be.instanceOf(AlgError);
    expect((error as AlgError).hint)
      .to.be.a('string')
      .with.length.above(10);
    return (error as AlgError).code;
  }
  return 'none';
}

describe('Tfm on the kernel', () => {
  it('binds each type, by algorithm and by driver', () => {
    for (const [type, name] of [
      ['hash', 'sha256'],
      ['hash', 'sha256-generic'],
      ['skcipher', 'cbc(aes)'],
      ['skcipher', 'cbc-aes-aesni'],
      ['aead', 'gcm(aes)'],
      ['rng', 'stdrng'],
    ] as const) {
      const tfm = new Tfm(type, name, { provider });
      expect(tfm.info.driver).to.be.a('string');
      tfm.close();
    }
  });

  it('a driver tells its algorithm, and so how its IV goes on', () => {
    const tfm = new Tfm('skcipher', 'virtio_crypto_aes_cbc', { key, provider });
    expect(tfm.info.algorithm).to.equal('cbc(aes)');
    expect(tfm.ivRule?.known('decrypt')).to.equal(true);
    tfm.close();
  });

  it('says what is wrong with a name', () => {
    expect(() => new Tfm('skcipher', 'nosuch(aes)', { provider })).to.throw(
      AlgError,
      /bind nosuch\(aes\): ENOENT: the kernel does not offer/,
    );
    expect(() => new Tfm('skcipher', 'sha256', { provider })).to.throw(
      AlgError,
      /it is of type hash, and was asked for as skcipher/,
    );
    expect(() => new Tfm('hash', 'cbc-aes-aesni', { provider })).to.throw(
      AlgError,
      /of type skcipher, and was asked for as hash/,
    );
    expect(code(() => new Tfm('skcipher', 'x'.repeat(100), { provider }))).to.equal('ENOENT');
    expect(() => new Tfm('skcipher', 'x'.repeat(128), { provider })).to.throw(
      RangeError,
      /name: expected at most 127 bytes/,
    );
  });

  it('says what is wrong with a key, a tag size, an IV', () => {
    expect(() => new Tfm('skcipher', 'cbc(aes)', { provider, key: Buffer.alloc(15) })).to.throw(
      RangeError,
      /key: expected 16 to 32 bytes for cbc\(aes\), got 15/,
    );
    expect(code(() => new Tfm('aead', 'gcm(aes)', { provider, key, authSize: 3 }))).to.equal('EINVAL');
    expect(code(() => new Tfm('hash', 'sha256', { provider, key }))).to.be.oneOf([
      'ENOPROTOOPT',
      'EOPNOTSUPP',
      'ENOSYS',
    ]);
    const tfm = new Tfm('skcipher', 'cbc(aes)', { provider, key });
    const request = tfm.request();
    expect(() => {
      request.iv = Buffer.alloc(12);
    }).to.throw(RangeError, /iv: expected 16 bytes for cbc\(aes\), got 12/);
    tfm.close();
  });

  it('without a key says ENOKEY', () => {
    const tfm = new Tfm('skcipher', 'cbc(aes)', { provider });
    const request = tfm.request();
    Object.assign(request, { iv, src: Buffer.alloc(16), dst: Buffer.alloc(16) });
    expect(code(() => request.runSync())).to.equal('ENOKEY');
    tfm.close();
  });

  it('a key by its serial: taken, or refused with the reason', () => {
    const result = code(() => new Tfm('skcipher', 'cbc(aes)', { provider, keySerial: 0x7fffffff }).close());
    // 6.1 does not know the option; later kernels look for the key.
    expect(result).to.be.oneOf(['ENOPROTOOPT', 'ENOKEY']);
  });

  it('a new key takes over, transparently', () => {
    const tfm = new Tfm('skcipher', 'cbc(aes)', { provider, key });
    const request = tfm.request();
    const src = bytes(64);
    Object.assign(request, { iv, src, dst: Buffer.alloc(64) });
    for (const fresh of [key, Buffer.alloc(16, 3), Buffer.alloc(24, 4)]) {
      tfm.setKey(fresh);
      request.runSync();
      const expected = createCipheriv(`aes-${fresh.length * 8}-cbc`, fresh, iv)
        .setAutoPadding(false)
        .update(src);
      expect(Buffer.from(request.dst)).to.deep.equal(expected);
    }
    tfm.close();
  });

  it('a key that is refused leaves the old one', () => {
    const tfm = new Tfm('skcipher', 'cbc(aes)', { provider, key });
    const request = tfm.request();
    Object.assign(request, { iv, src: Buffer.alloc(16), dst: Buffer.alloc(16) });
    expect(() => tfm.setKey(Buffer.alloc(5))).to.throw(RangeError);
    expect(request.runSync()).to.equal(16);
    tfm.close();
  });

  for (const engine of ['sync', 'lanes', 'aio'] as const) {
    it(`${engine}: requests of all sizes around the limits`, async () => {
      const tfm = new Tfm('skcipher', 'ctr(aes)', { provider, key, engine });
      const request = tfm.request();
      const max = tfm.maxRequest();
      expect(max).to.be.at.least(212992);
      for (const size of [0, 1, 15, 16, 17, 4095, 4096, 65536, 131071, 131072, 131073, 212992, 212993, max - 1, max]) {
        const src = bytes(size);
        Object.assign(request, { iv, src, dst: Buffer.alloc(size) });
        expect(await request.run()).to.equal(size);
        const expected = createCipheriv('aes-256-ctr', key, iv).update(src);
        expect(expected.equals(request.dst), `${size} bytes`).to.equal(true);
      }
      tfm.close();
    });

    it(`${engine}: beyond what a socket takes at once`, async () => {
      const tfm = new Tfm('skcipher', 'ctr(aes)', { provider, key, engine });
      const request = tfm.request();
      const src = bytes(1_500_001, 1);
      Object.assign(request, { iv, src, dst: Buffer.alloc(src.length) });
      if (engine === 'aio') {
        expect(() => request.submit(() => {})).to.throw(
          RangeError,
          /src: expected at most \d+ bytes for ctr\(aes\), whole/,
        );
      } else {
        expect(await request.run()).to.equal(src.length);
        expect(createCipheriv('aes-256-ctr', key, iv).update(src).equals(request.dst)).to.equal(true);
      }
      tfm.close();
    });

    it(`${engine}: a batch of units, each with its IV and its status`, async () => {
      const tfm = new Tfm('skcipher', 'xts(aes)', { provider, key: bytes(64), engine });
      for (const [count, unitSize] of [
        [1, 512],
        [7, 512],
        [300, 512],
        [64, 4096],
      ] as const) {
        const src = bytes(count * unitSize);
        const ivs = Buffer.alloc(count * 16);
        for (let unit = 0; unit < count; unit++) ivs.writeBigUInt64LE(BigInt(unit), unit * 16);
        const dst = Buffer.alloc(src.length);
        const batch = tfm.batch({ direction: 'encrypt', unitSize, ivs, src, dst });
        expect(await batch.run()).to.equal(src.length);
        expect([...batch.status]).to.deep.equal(Array(count).fill(unitSize));
        for (let unit = 0; unit < count; unit++) {
          const expected = createCipheriv('aes-256-xts', bytes(64), ivs.subarray(unit * 16, unit * 16 + 16));
          const at = unit * unitSize;
          expect(expected.update(src.subarray(at, at + unitSize)).equals(dst.subarray(at, at + unitSize))).to.equal(
            true,
          );
        }
      }
      tfm.close();
    });

    it(`${engine}: an AEAD is checked, and its failure leaves the socket usable`, async () => {
      const tfm = new Tfm('aead', 'gcm(aes)', { provider, key, engine, authSize: 16 });
      const request = tfm.request();
      for (const [assoc, text] of [
        [0, 0],
        [0, 1],
        [13, 0],
        [8, 32],
        [20, 100_000],
      ] as const) {
        const src = bytes(assoc + text);
        const sealed = Buffer.alloc(src.length + 16);
        Object.assign(request, { direction: 'encrypt', iv: iv.subarray(0, 12), assocLength: assoc, src, dst: sealed });
        expect(await request.run()).to.equal(sealed.length);
        const own = createCipheriv('aes-256-gcm', key, iv.subarray(0, 12)).setAAD(src.subarray(0, assoc));
        expect(own.update(src.subarray(assoc)).equals(sealed.subarray(assoc, assoc + text))).to.equal(true);
        own.final();
        expect(own.getAuthTag().equals(sealed.subarray(assoc + text))).to.equal(true);
        const broken = Buffer.from(sealed);
        broken[broken.length - 1]! ^= 1;
        Object.assign(request, { direction: 'decrypt', src: broken, dst: Buffer.alloc(src.length) });
        const refused = await request.run().then(
          () => 'none',
          (error) => error.code,
        );
        expect(refused).to.equal('EBADMSG');
        Object.assign(request, { src: sealed });
        expect(await request.run()).to.equal(src.length);
        expect(src.equals(request.dst)).to.equal(true);
      }
      tfm.close();
    });
  }

  it('hashes, half-hashed messages and their clones', () => {
    for (const [name, own, keyed] of [
      ['sha256', () => createHash('sha256'), undefined],
      ['hmac(sha256)', () => createHmac('sha256', key), key],
    ] as const) {
      const tfm = new Tfm('hash', name, { provider, ...(keyed && { key: keyed }) });
      const request = tfm.request();
      const src = bytes(100_000);
      for (const size of [0, 1, 63, 64, 65, 65536, 100_000]) {
        Object.assign(request, { src: src.subarray(0, size), dst: Buffer.alloc(32) });
        request.runSync();
        expect(own().update(src.subarray(0, size)).digest().equals(request.dst), `${name} ${size}`).to.equal(true);
      }
      request.update(src.subarray(0, 1000));
      const copy = request.clone();
      request.update(src.subarray(1000, 2000));
      const [whole, half] = [Buffer.alloc(32), Buffer.alloc(32)];
      request.final(whole);
      copy.final(half);
      expect(whole).to.deep.equal(own().update(src.subarray(0, 2000)).digest());
      expect(half).to.deep.equal(own().update(src.subarray(0, 1000)).digest());
      tfm.close();
    }
  });

  it('random bytes differ, and come in any length', () => {
    const tfm = new Tfm('rng', 'stdrng', { provider });
    const request = tfm.request();
    const seen = new Set<string>();
    for (const size of [16, 127, 128, 129, 1000]) {
      request.dst = Buffer.alloc(size);
      expect(request.runSync()).to.equal(size);
      seen.add(Buffer.from(request.dst).toString('hex').slice(0, 32));
    }
    expect(seen.size).to.equal(5);
    tfm.close();
  });

  it('XTS longer than one request is refused with the limit', () => {
    const tfm = new Tfm('skcipher', 'xts(aes)', { provider, key: bytes(64) });
    expect(tfm.carriesIv()).to.equal(false);
    const request = tfm.request();
    const size = tfm.maxRequest() + 16;
    Object.assign(request, { iv, src: Buffer.alloc(size), dst: Buffer.alloc(size) });
    expect(() => request.runSync()).to.throw(
      RangeError,
      `src: expected at most ${tfm.maxRequest()} bytes for xts(aes), whole in one request, got ${size}`,
    );
    tfm.close();
  });

  it('no request of nothing reaches a device that breaks on it', async () => {
    const tfm = new Tfm('skcipher', 'virtio_crypto_aes_cbc', { provider, key, engine: 'aio' });
    const request = tfm.request();
    Object.assign(request, { iv, src: Buffer.alloc(0), dst: Buffer.alloc(0) });
    expect(await request.run()).to.equal(0);
    expect(request.runSync()).to.equal(0);
    Object.assign(request, { src: Buffer.alloc(16), dst: Buffer.alloc(16) });
    expect(await request.run()).to.equal(16);
    tfm.close();
  });

  it('no request longer than its ring reaches a device that breaks on it', async () => {
    for (const engine of ['sync', 'lanes', 'aio'] as const) {
      const tfm = new Tfm('skcipher', 'virtio_crypto_aes_cbc', { provider, key, engine });
      const max = tfm.maxRequest();
      expect(max).to.equal(120 * 1024);
      const request = tfm.request();
      for (const size of [max, max + 16, 500_000]) {
        const src = bytes(size - (size % 16), 1);
        Object.assign(request, { iv, src, dst: Buffer.alloc(src.length) });
        if (size > max && engine === 'aio') {
          expect(() => request.submit(() => {})).to.throw(RangeError, /src: expected at most 122880 bytes/);
        } else {
          expect(await request.run()).to.equal(src.length);
          const expected = createCipheriv('aes-256-cbc', key, iv).setAutoPadding(false).update(src);
          expect(expected.equals(request.dst)).to.equal(true);
        }
      }
      expect(() => request.stage()).to.throw(RangeError, /at most 122880/);
      tfm.setKey(key);
      expect(tfm.maxRequest()).to.equal(max);
      tfm.close();
    }
  });

  it('a request in flight refuses a second, and its tfm closes after it', async () => {
    const engine = openAio(4);
    const tfm = new Tfm('skcipher', 'virtio_crypto_aes_cbc', { provider, key, engine });
    const request = tfm.request();
    Object.assign(request, { iv, src: Buffer.alloc(65536), dst: Buffer.alloc(65536) });
    const first = request.run();
    expect(code(() => request.runSync())).to.equal('EBUSY');
    expect(code(() => request.stage())).to.equal('EBUSY');
    tfm.close();
    expect(await first).to.equal(65536);
    expect(code(() => tfm.request())).to.equal('EBADF');
    engine.close();
  });

  it('10,000 opens leave no descriptor', () => {
    const before = descriptors();
    for (let i = 0; i < 10_000; i++) new Tfm('skcipher', 'cbc(aes)', { provider, key, engine: 'sync' }).close();
    expect(descriptors()).to.equal(before);
    for (let i = 0; i < 1000; i++) {
      const tfm = new Tfm('skcipher', 'cbc(aes)', { provider, key });
      Object.assign(tfm.request(), { iv, src: Buffer.alloc(16), dst: Buffer.alloc(16) }).runSync();
      tfm.close();
    }
    expect(descriptors()).to.equal(before);
  });

  it('engines closed with work in flight end all of it, and leave no descriptor', async () => {
    const before = descriptors();
    for (const open of [() => openLanes(2), () => openAio(2)]) {
      const engine = open();
      const tfm = new Tfm('skcipher', 'virtio_crypto_aes_cbc', { provider, key, engine });
      const runs = Array.from({ length: 12 }, () => {
        const request = tfm.request();
        Object.assign(request, { iv, src: Buffer.alloc(65536), dst: Buffer.alloc(65536) });
        return request.run();
      });
      const outcomes = Promise.allSettled(runs);
      engine.close();
      engine.close();
      for (const outcome of await outcomes) {
        expect(outcome.status).to.equal('rejected');
        expect((outcome as PromiseRejectedResult).reason.code).to.equal('ECANCELED');
      }
      tfm.close();
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(descriptors()).to.equal(before);
  });
});
