import * as nodeCrypto from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import { AlgError, createHash, createHmac, hash, promises, Tfm } from '../../lib/index.js';
import { knownHashes, type Provider, pieces, seeded } from './reference.js';

/** Hashes for people, on either provider. */
export function hashSuite(provider: Provider): void {
  const options = { provider };
  // What runs emulated gets less of the same.
  const rounds = provider === 'kernel' ? 6 : 60;

  describe(`hashes on the ${provider}`, function () {
    this.timeout(600_000);
    for (const [name, node] of Object.entries(knownHashes)) {
      it(`${name} gives node:crypto's bytes for any length, at once and in pieces`, () => {
        const random = seeded(1);
        const lengths = [0, 1, 55, 56, 63, 64, 65, 127, 128, 129];
        for (let round = 0; round < rounds; round++) lengths.push(random.next(200_000));
        for (const length of lengths) {
          const data = random.bytes(length);
          const expected = nodeCrypto.createHash(node).update(data).digest('hex');
          expect(hash(name, data, options).toString('hex'), `${length} bytes`).to.equal(expected);
          const running = createHash(name, options);
          for (const piece of pieces(random, data)) running.update(piece);
          expect(running.digest('hex'), `${length} bytes in pieces`).to.equal(expected);
        }
      });
    }

    for (const engine of ['sync', 'lanes'] as const)
      it(`a request’s salt is hashed with it, in front or behind: ${engine}`, async () => {
        const random = seeded(9);
        using tfm = new Tfm('hash', 'sha256', { provider, engine });
        const request = tfm.request();
        request.dst = Buffer.alloc(32);
        for (const size of [0, 1, 32, 64, 100]) {
          const [salt, data] = [random.bytes(size), random.bytes(4096)];
          request.src = data;
          for (const place of ['first', 'last'] as const) {
            request.salt = { bytes: salt, place };
            await request.run();
            const message = place === 'first' ? [salt, data] : [data, salt];
            const expected = nodeCrypto.createHash('sha256').update(Buffer.concat(message)).digest('hex');
            expect(Buffer.from(request.dst).toString('hex'), `${size} bytes ${place}`).to.equal(expected);
          }
        }
        request.salt = undefined;
        await request.run();
        const alone = nodeCrypto.createHash('sha256').update(request.src).digest('hex');
        expect(Buffer.from(request.dst).toString('hex')).to.equal(alone);
      });

    it('hmac gives node:crypto’s bytes for any key', () => {
      const random = seeded(2);
      for (const size of [0, 1, 20, 63, 64, 65, 200]) {
        const key = random.bytes(size);
        const data = random.bytes(300);
        const expected = nodeCrypto.createHmac('sha256', key).update(data).digest('hex');
        expect(createHmac('sha256', key, options).update(data).digest('hex'), `key of ${size}`).to.equal(expected);
        expect(hash('hmac(sha256)', data, { ...options, key }).toString('hex')).to.equal(expected);
      }
    });

    it('leaves the caller’s key as it is, and takes one as a string', () => {
      const key = Buffer.from('secret');
      const expected = nodeCrypto.createHmac('sha1', key).update('x').digest('hex');
      expect(createHmac('sha1', key, options).update('x').digest('hex')).to.equal(expected);
      expect(createHmac('sha1', 'secret', options).update('x').digest('hex')).to.equal(expected);
      expect(key.toString()).to.equal('secret');
    });

    it('reads strings in every encoding, and writes them', () => {
      for (const encoding of ['utf8', 'hex', 'base64', 'base64url', 'latin1', 'utf16le', 'ascii'] as const) {
        const text = encoding === 'hex' ? 'c3bc00ff' : 'Müßig';
        const expected = nodeCrypto.createHash('sha256').update(text, encoding).digest('base64');
        expect(createHash('sha256', options).update(text, encoding).digest('base64'), encoding).to.equal(expected);
      }
      expect(createHash('sha256', options).digest('base64url')).to.equal(
        nodeCrypto.createHash('sha256').digest('base64url'),
      );
    });

    it('reads typed arrays, DataViews and ArrayBuffers where they begin', () => {
      const memory = Uint8Array.from([9, 1, 2, 3, 4, 5, 6, 7, 9, 9]).buffer;
      const expected = nodeCrypto
        .createHash('sha256')
        .update(Buffer.from([2, 3, 4, 5]))
        .digest('hex');
      for (const view of [
        new Uint16Array(memory, 2, 2),
        new DataView(memory, 2, 4),
        new Uint8Array(memory, 2, 4),
        memory.slice(2, 6),
      ])
        expect(createHash('sha256', options).update(view).digest('hex')).to.equal(expected);
    });

    it('copies a half-hashed message; copies and original go their own ways', () => {
      const whole = (text: string) => nodeCrypto.createHash('sha256').update(text).digest('hex');
      const original = createHash('sha256', options).update('ab');
      const copy = original.copy();
      const fresh = createHash('sha256', options).copy();
      expect(original.update('1').digest('hex')).to.equal(whole('ab1'));
      // The original has ended and closed by now.
      const copyOfCopy = copy.copy();
      expect(copy.update('2').digest('hex')).to.equal(whole('ab2'));
      expect(copyOfCopy.update('3').digest('hex')).to.equal(whole('ab3'));
      expect(fresh.update('4').digest('hex')).to.equal(whole('4'));
      const keyed = createHmac('sha256', 'k', options).update('a');
      expect(keyed.copy().update('b').digest('hex')).to.equal(
        nodeCrypto.createHmac('sha256', 'k').update('ab').digest('hex'),
      );
      keyed.destroy();
    });

    it('is a stream: piped, written, and read in an encoding', async () => {
      const random = seeded(3);
      const data = random.bytes(500_000);
      const expected = nodeCrypto.createHash('sha256').update(data).digest('hex');
      const piped = createHash('sha256', options);
      await pipeline(Readable.from(pieces(random, data)), piped);
      expect((piped.read() as Buffer).toString('hex')).to.equal(expected);

      const written = createHash('sha256', options);
      written.setEncoding('hex');
      written.write(data.subarray(0, 7));
      written.end(data.subarray(7));
      await once(written, 'readable');
      expect(written.read()).to.equal(expected);

      const text = createHash('sha256', options);
      text.end('c3bc', 'hex');
      expect((await text.toArray())[0].toString('hex')).to.equal(
        nodeCrypto.createHash('sha256').update('ü').digest('hex'),
      );
    });

    it('as a promise takes bytes, strings, streams and iterables', async () => {
      const data = seeded(4).bytes(150_000);
      const expected = nodeCrypto.createHash('sha256').update(data).digest('hex');
      async function* source() {
        yield data.subarray(0, 1);
        yield data.subarray(1);
      }
      for (const message of [data, Readable.from([data.subarray(0, 9), data.subarray(9)]), source()])
        expect((await promises.hash('sha256', message, options)).toString('hex')).to.equal(expected);
      expect((await promises.hash('sha256', 'ü', options)).toString('hex')).to.equal(
        nodeCrypto.createHash('sha256').update('ü').digest('hex'),
      );
      expect((await promises.hash('hmac(sha1)', '', { ...options, key: '' })).toString('hex')).to.equal(
        nodeCrypto.createHmac('sha1', '').digest('hex'),
      );
    });

    it('says that it has ended', () => {
      const ended = createHash('sha256', options);
      ended.digest();
      const destroyed = createHash('sha256', options);
      destroyed.destroy();
      for (const closed of [ended, destroyed])
        for (const use of [() => closed.update('x'), () => closed.digest(), () => closed.copy()])
          expect(use)
            .to.throw(AlgError, /Digest already called/)
            .with.property('code', 'EBADF');
    });

    it('a key for a hash that takes none, and none for one that needs it, are refused', () => {
      expect(() => createHash('sha256', { ...options, key: 'k' })).to.throw(AlgError, /takes no key/);
      expect(() => hash('hmac(sha256)', 'x', options))
        .to.throw(AlgError)
        .with.property('code', 'ENOKEY');
    });

    it('names the argument that is wrong', () => {
      const running = createHash('sha256', options);
      const wrong = (value: unknown) => value as string;
      expect(() => createHash(wrong(5), options)).to.throw(TypeError, 'name: expected a string, got number');
      for (const value of [null, undefined, 5, {}, []])
        expect(() => running.update(wrong(value))).to.throw(TypeError, /^data: expected a string, Buffer/);
      expect(() => running.update('x', wrong('utf9') as BufferEncoding)).to.throw(TypeError, /encoding/);
      expect(() => createHmac('sha1', wrong(5), options)).to.throw(TypeError, /^key: expected/);
      expect(running.update('abc').digest('hex')).to.match(/^ba7816bf/);
    });

    it('an abort before, and while waiting for data, ends it with the reason as cause', async () => {
      const reason = new Error('enough');
      const failure = (running: Promise<unknown>) =>
        running.then(
          () => undefined,
          (error: Error) => error,
        );
      const before = await failure(promises.hash('sha256', 'x', { ...options, signal: AbortSignal.abort(reason) }));
      expect(before).to.include({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });

      const controller = new AbortController();
      let ended = false;
      const stuck = new Readable({
        read() {
          controller.abort(reason);
        },
        destroy(_error, callback) {
          ended = true;
          callback(null);
        },
      });
      const during = await failure(promises.hash('sha256', stuck, { ...options, signal: controller.signal }));
      expect(during).to.include({ name: 'AbortError', cause: reason });
      expect(ended).to.equal(true);

      const stream = createHash('sha256', { ...options, signal: controller.signal });
      const [error] = await once(stream, 'error');
      expect(error).to.have.property('name', 'AbortError');
      expect(() => stream.update('x')).to.throw(AlgError);
    });
  });
}
