import * as nodeCrypto from 'node:crypto';
import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect } from 'chai';
import { AlgError, createCipheriv, createDecipheriv, decrypt, encrypt, promises, Tfm } from '../../lib/index.js';
import { knownAeads, knownCiphers, type Provider, pieces, seeded } from './reference.js';

/** Ciphers for people, on either provider. */
export function cipherSuite(provider: Provider): void {
  const options = { provider };
  // What runs emulated gets less of the same.
  const rounds = provider === 'kernel' ? 4 : 30;
  const key = Buffer.alloc(32, 7);
  const iv = Buffer.alloc(16, 9);
  const nonce = Buffer.alloc(12, 9);

  describe(`ciphers on the ${provider}`, function () {
    this.timeout(600_000);
    for (const cipher of knownCiphers) {
      it(`${cipher.name} gives ${cipher.node}'s bytes for any length, in every form`, async () => {
        const random = seeded(5);
        const lengths = cipher.streams ? [0, 1, 15, 16, 17, 63, 64, 65, 131_072, 131_073] : [16, 17, 31, 4096];
        for (let round = 0; round < rounds; round++) lengths.push(16 + random.next(200_000));
        for (const length of lengths) {
          const data = random.bytes(length);
          const cipherKey = random.bytes(cipher.key);
          const cipherIv = cipher.iv ? random.bytes(cipher.iv) : null;
          const reference = nodeCrypto.createCipheriv(cipher.node, cipherKey, cipherIv);
          const expected = Buffer.concat([reference.update(data), reference.final()]);
          const what = { key: cipherKey, iv: cipherIv, ...options };
          const same = (got: Uint8Array, to: Buffer, form: string) =>
            expect(to.equals(got), `${length} bytes ${form}`).to.equal(true);

          same(encrypt(cipher.name, what, data), expected, 'encrypted');
          same(decrypt(cipher.name, what, expected), data, 'decrypted');
          same(await promises.encrypt(cipher.name, what, Readable.from(pieces(random, data))), expected, 'promised');
          same(await promises.decrypt(cipher.name, what, expected), data, 'decrypted, promised');
          for (const [create, from, to] of [
            [createCipheriv, data, expected],
            [createDecipheriv, expected, data],
          ] as const) {
            const updated = create(cipher.name, cipherKey, cipherIv, options);
            const output = [...pieces(random, from)].map((piece) => updated.update(piece));
            same(Buffer.concat([...output, updated.final()]), to, `${create.name}, update`);
            const streamed = create(cipher.name, cipherKey, cipherIv, options);
            const parts: Buffer[] = await Readable.from(pieces(random, from)).pipe(streamed).toArray();
            same(Buffer.concat(parts), to, `${create.name}, stream`);
          }
        }
      });
    }

    for (const aead of knownAeads) {
      it(`${aead.name} gives ${aead.node}'s bytes and tag, nonce of ${aead.iv} bytes`, async () => {
        const random = seeded(6);
        // node:crypto's CCM cannot encrypt nothing ("tag not set"); the vectors have that case.
        const lengths = aead.node.endsWith('ccm') ? [1, 16] : [0, 1, 15, 16, 17, 1000];
        // A nonce of 13 leaves two bytes for the length.
        for (let round = 0; round < rounds; round++) lengths.push(random.next(aead.iv === 13 ? 65_536 : 200_000));
        for (const length of lengths)
          for (const authTagLength of aead.tags) {
            const data = random.bytes(length);
            const aad = random.bytes(random.next(70));
            const aeadKey = random.bytes(aead.key);
            const aeadIv = random.bytes(aead.iv);
            const reference = nodeCrypto.createCipheriv(aead.node as 'aes-128-gcm', aeadKey, aeadIv, { authTagLength });
            reference.setAAD(aad, { plaintextLength: length });
            const text = Buffer.concat([reference.update(data), reference.final()]);
            const tag = reference.getAuthTag();
            const sealed = Buffer.concat([text, tag]);
            const what = { key: aeadKey, iv: aeadIv, aad, authTagLength, ...options };
            const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

            expect(hex(encrypt(aead.name, what, data))).to.equal(hex(sealed));
            expect(hex(decrypt(aead.name, what, sealed))).to.equal(hex(data));
            expect(hex(await promises.encrypt(aead.name, what, data))).to.equal(hex(sealed));
            expect(hex(await promises.decrypt(aead.name, what, Readable.from(pieces(random, sealed))))).to.equal(
              hex(data),
            );

            const running = createCipheriv(aead.name, aeadKey, aeadIv, { ...options, authTagLength });
            running.setAAD(aad.subarray(0, 5)).setAAD(aad.subarray(5));
            for (const piece of pieces(random, data)) running.update(piece);
            expect(hex(running.final())).to.equal(hex(text));
            expect(hex(running.getAuthTag())).to.equal(hex(tag));

            const opening = createDecipheriv(aead.name, aeadKey, aeadIv, { ...options, authTagLength });
            opening.setAuthTag(tag).setAAD(aad);
            opening.end(text);
            expect(hex(Buffer.concat(await opening.toArray()))).to.equal(hex(data));
          }
      });
    }

    it('never lets out plaintext that is not authentic', async () => {
      const sealed = encrypt('gcm(aes)', { key, iv: nonce, aad: 'a', ...options }, 'attack at dawn');
      const forms: [string, (data: Buffer, aad: string) => unknown][] = [
        ['decrypt', (data, aad) => decrypt('gcm(aes)', { key, iv: nonce, aad, ...options }, data)],
        ['promise', (data, aad) => promises.decrypt('gcm(aes)', { key, iv: nonce, aad, ...options }, data)],
        [
          'stream',
          async (data, aad) => {
            const stream = createDecipheriv('gcm(aes)', key, nonce, options).setAAD(aad).setAuthTag(data.subarray(-16));
            const output: Buffer[] = [];
            stream.on('data', (chunk: Buffer) => output.push(chunk));
            await pipeline(Readable.from([data.subarray(0, -16)]), stream).finally(() =>
              expect(output).to.deep.equal([]),
            );
          },
        ],
      ];
      for (const [form, open] of forms) {
        for (let bit = 0; bit < sealed.length * 8; bit += 7) {
          const forged = Buffer.from(sealed);
          forged[bit >> 3]! ^= 1 << (bit & 7);
          const error = await Promise.resolve()
            .then(() => open(forged, 'a'))
            .then(
              () => undefined,
              (failure: Error) => failure,
            );
          expect(error, `${form}, bit ${bit}`).to.be.instanceOf(AlgError).with.property('code', 'EBADMSG');
        }
      }
      expect(() => decrypt('gcm(aes)', { key, iv: nonce, aad: 'b', ...options }, sealed))
        .to.throw(AlgError)
        .with.property('code', 'EBADMSG');
    });

    it('checks the tag of a message of nothing', async () => {
      for (const { name, iv: size } of knownAeads) {
        const what = { key, iv: Buffer.alloc(size), ...options };
        const sealed = encrypt(name, what, '');
        expect(decrypt(name, what, sealed)).to.have.length(0);
        sealed[0]! ^= 1;
        expect(() => decrypt(name, what, sealed))
          .to.throw(AlgError)
          .with.property('code', 'EBADMSG');
        const error = await promises.decrypt(name, what, sealed).catch((failure: Error) => failure);
        expect(error).to.have.property('code', 'EBADMSG');
      }
    });

    it('ccm(aes) takes the nonce, or the kernel’s 16 bytes', () => {
      const ccmNonce = Buffer.from('0102030405060708090a0b', 'hex');
      const full = Buffer.concat([Buffer.from([14 - 11]), ccmNonce, Buffer.alloc(4)]);
      const what = { key, ...options };
      expect(encrypt('ccm(aes)', { ...what, iv: full }, 'x')).to.deep.equal(
        encrypt('ccm(aes)', { ...what, iv: ccmNonce }, 'x'),
      );
      const long = { ...what, iv: Buffer.alloc(13) };
      expect(encrypt('ccm(aes)', long, Buffer.alloc(65_535))).to.have.length(65_535 + 16);
      expect(() => encrypt('ccm(aes)', long, Buffer.alloc(65_536))).to.throw(
        RangeError,
        'data: expected at most 65535 bytes for ccm(aes) with a nonce this long, got 65536',
      );
      for (const size of [0, 6, 14, 15, 17])
        expect(() => encrypt('ccm(aes)', { ...what, iv: Buffer.alloc(size) }, 'x')).to.throw(RangeError, /^iv: /);
    });

    it('modes that work by bytes give each byte at once, as node:crypto does', () => {
      for (const [name, node] of [
        ['ctr(aes)', 'aes-256-ctr'],
        ['chacha20', 'chacha20'],
        ['cfb(aes)', 'aes-256-cfb'],
        ['ofb(aes)', 'aes-256-ofb'],
      ] as const) {
        if (options.provider === 'kernel' && /^(cfb|ofb)/.test(name)) continue; // newer kernels have neither
        const running = createCipheriv(name, key, iv, options);
        const reference = nodeCrypto.createCipheriv(node, key, iv);
        for (const text of ['a', '', 'bcd', 'x'.repeat(70), 'e'])
          expect(running.update(text, 'utf8', 'hex')).to.equal(reference.update(text, 'utf8', 'hex'));
        expect(running.final()).to.have.length(0);
      }
    });

    it('the counter of ctr(aes) carries over all of its 16 bytes', () => {
      const counter = Buffer.alloc(16, 0xff);
      const data = Buffer.alloc(400_000, 1);
      const reference = nodeCrypto.createCipheriv('aes-256-ctr', key, counter).update(data);
      const running = createCipheriv('ctr(aes)', key, counter, options);
      const got = Buffer.concat([running.update(data.subarray(0, 5)), running.update(data.subarray(5))]);
      expect(got.equals(reference)).to.equal(true);
      expect(counter.equals(Buffer.alloc(16, 0xff)), 'the caller’s IV is as it was').to.equal(true);
    });

    it('when the 32-bit counter of chacha20 wraps: node:crypto’s bytes here, the kernel’s from a Tfm', async () => {
      const data = Buffer.alloc(64 * 7 + 5, 3);
      for (const start of ['feffffff', 'ffffffff', '00000000'])
        for (const rest of [nonce, Buffer.alloc(12, 0xff)]) {
          const from = Buffer.concat([Buffer.from(start, 'hex'), rest]);
          const node = (iv: Buffer, part: Buffer) => nodeCrypto.createCipheriv('chacha20', key, iv).update(part);
          const expected = node(from, data);
          expect(encrypt('chacha20', { ...options, key, iv: from }, data)).to.deep.equal(expected);
          expect(decrypt('chacha20', { ...options, key, iv: from }, expected)).to.deep.equal(data);
          const cipher = createCipheriv('chacha20', key, from, options);
          const parts = [cipher.update(data.subarray(0, 100)), cipher.update(data.subarray(100)), cipher.final()];
          expect(Buffer.concat(parts)).to.deep.equal(expected);

          using tfm = new Tfm('skcipher', 'chacha20', { ...options, key });
          const dst = Buffer.alloc(data.length);
          Object.assign(tfm.request(), { direction: 'encrypt', iv: from, src: data, dst }).runSync();
          const blocks = start === '00000000' ? 8 : start === 'feffffff' ? 2 : 1;
          const again = node(Buffer.concat([Buffer.alloc(4), rest]), data.subarray(64 * blocks));
          const kernels = Buffer.concat([node(from, data.subarray(0, 64 * blocks)), again]);
          expect(dst.equals(kernels), `Tfm, ${start}`).to.equal(true);
        }
    });

    it('pads cbc and ecb like PKCS#7, or not', () => {
      expect(encrypt('cbc(aes)', { key, iv, ...options }, Buffer.alloc(16))).to.have.length(32);
      expect(encrypt('cbc(aes)', { key, iv, autoPadding: false, ...options }, Buffer.alloc(16))).to.have.length(16);
      expect(createCipheriv('ecb(aes)', key, null, options).setAutoPadding(false).final()).to.have.length(0);
      expect(encrypt('ctr(aes)', { key, iv, ...options }, 'abc')).to.have.length(3);
      for (const length of [1, 15, 17])
        expect(() => encrypt('cbc(aes)', { key, iv, autoPadding: false, ...options }, Buffer.alloc(length))).to.throw(
          RangeError,
          `data: expected a multiple of 16 bytes for cbc(aes), got ${length}`,
        );
    });

    it('finds every wrong padding', () => {
      const block = (...end: number[]) => Buffer.concat([Buffer.alloc(16 - end.length, 0xaa), Buffer.from(end)]);
      const raw = { key, iv, autoPadding: false, ...options };
      for (const wrong of [block(0), block(17), block(1, 2), block(3, 2, 3), block(255)])
        expect(() => decrypt('cbc(aes)', { key, iv, ...options }, encrypt('cbc(aes)', raw, wrong)))
          .to.throw(AlgError, /bad decrypt/)
          .with.property('code', 'EBADMSG');
      for (const length of [0, 5, 31])
        expect(() => decrypt('cbc(aes)', { key, iv, ...options }, Buffer.alloc(length))).to.throw(
          RangeError,
          /^data: /,
        );
    });

    it('writes strings in an encoding over the borders of outputs', () => {
      const text = 'Grüße an alle Ä und Ö und €'.repeat(5);
      for (const encoding of ['base64', 'hex', 'latin1'] as const) {
        const running = createCipheriv('cbc(aes)', key, iv, options);
        const reference = nodeCrypto.createCipheriv('aes-256-cbc', key, iv);
        for (const part of [text.slice(0, 20), text.slice(20)])
          expect(running.update(part, 'utf8', encoding)).to.equal(reference.update(part, 'utf8', encoding));
        expect(running.final(encoding)).to.equal(reference.final(encoding));
      }
      const sealed = encrypt('ctr(aes)', { key, iv, ...options }, text);
      const running = createDecipheriv('ctr(aes)', key, iv, options);
      let got = '';
      for (const byte of sealed) got += running.update(Buffer.from([byte]), undefined, 'utf8');
      expect(got + running.final('utf8')).to.equal(text);
    });

    it('what is collected until the end may be changed by the caller meanwhile', () => {
      const data = Buffer.from('0123456789abcdef');
      const running = createCipheriv('xts(aes)', Buffer.concat([key, Buffer.alloc(32, 8)]), iv, options);
      const expected = encrypt('xts(aes)', { key: Buffer.concat([key, Buffer.alloc(32, 8)]), iv, ...options }, data);
      running.update(data);
      data.fill(0);
      expect(running.final()).to.deep.equal(expected);
    });

    it('xts(aes) and gcm(aes) say how much they take, and refuse more as soon as it comes', () => {
      const xtsKey = Buffer.concat([key, Buffer.alloc(32, 8)]);
      const xts = createCipheriv('xts(aes)', xtsKey, iv, options);
      const most = xts.maxRequest();
      expect(most).to.be.within(65_536, 2 ** 31);
      expect(createCipheriv('ctr(aes)', key, iv, options).maxRequest()).to.equal(Number.MAX_SAFE_INTEGER);
      if (provider === 'library') return; // its 2 GiB would take long
      expect(encrypt('xts(aes)', { key: xtsKey, iv, ...options }, Buffer.alloc(most))).to.have.length(most);
      const text = new RegExp(
        `expected at most ${most} bytes for xts\\(aes\\), got ${most + 1}; .*cut it into messages`,
      );
      xts.update(Buffer.alloc(most));
      expect(() => xts.update('x')).to.throw(RangeError, text);
      expect(() => createCipheriv('gcm(aes)', key, nonce, options).update(Buffer.alloc(most - 15))).to.throw(
        RangeError,
        `data: expected at most ${most - 16} bytes for gcm(aes), got ${most - 15}`,
      );
      expect(encrypt('gcm(aes)', { key, iv: nonce, ...options }, Buffer.alloc(most - 16))).to.have.length(most);
    });

    it('says that it has ended', () => {
      const ended = createCipheriv('cbc(aes)', key, iv, options);
      ended.final();
      const destroyed = createDecipheriv('cbc(aes)', key, iv, options);
      destroyed.destroy();
      const disposed = createDecipheriv('cbc(aes)', key, iv, options);
      disposed[Symbol.dispose]();
      for (const closed of [ended, destroyed, disposed])
        for (const use of [
          () => closed.update('x'),
          () => closed.final(),
          () => closed.setAutoPadding(false),
          () => closed.setAAD('x'),
          () => closed.setAuthTag(Buffer.alloc(16)),
        ])
          expect(use).to.throw(AlgError, /final\(\) was called, or it was closed/);
    });

    it('holds to the order of calls', () => {
      const gcm = () => createCipheriv('gcm(aes)', key, nonce, options);
      const begun = gcm();
      begun.update('x');
      expect(() => begun.setAAD('x')).to.throw(AlgError, /before the first update/);
      expect(() => begun.getAuthTag()).to.throw(AlgError, /only after final/);
      expect(() => begun.setAuthTag(Buffer.alloc(16))).to.throw(AlgError, /when decrypting/);
      begun.final();
      expect(begun.getAuthTag()).to.have.length(16);
      const open = createDecipheriv('gcm(aes)', key, nonce, options);
      expect(() => open.setAuthTag(Buffer.alloc(12))).to.throw(RangeError, /^tag: expected 16 bytes/);
      expect(() => open.getAuthTag()).to.throw(AlgError);
      expect(() => open.final()).to.throw(AlgError, /setAuthTag\(\) before final/);
      const cbc = createCipheriv('cbc(aes)', key, iv, options);
      expect(() => cbc.setAAD('x')).to.throw(AlgError, /no AEAD/);
      expect(() => cbc.getAuthTag()).to.throw(AlgError, /no AEAD/);
      cbc.update('x');
      expect(() => cbc.setAutoPadding(false)).to.throw(AlgError, /before the first update/);
    });

    it('names the argument that is wrong', () => {
      const open = (name: unknown, k: unknown, v: unknown, o: object = {}) =>
        createCipheriv(name as string, k as Buffer, v as Buffer, { ...options, ...o });
      expect(() => open(1, key, iv)).to.throw(TypeError, 'name: expected a string, got number');
      expect(() => open('cbc(aes)', 1, iv)).to.throw(TypeError, /^key: expected .*, got number/);
      expect(() => open('cbc(aes)', key, 1)).to.throw(TypeError, /^iv: expected .*, got number/);
      expect(() => open('cbc(aes)', key, null)).to.throw(TypeError, 'iv: expected 16 bytes for cbc(aes), got null');
      expect(() => open('cbc(aes)', key, iv.subarray(1))).to.throw(
        RangeError,
        'iv: expected 16 bytes for cbc(aes), got 15',
      );
      expect(() => open('ecb(aes)', key, iv)).to.throw(RangeError, /^iv: expected null for ecb\(aes\)/);
      expect(() => open('cbc(aes)', key.subarray(0, 5), iv)).to.throw(
        RangeError,
        /^key: expected .* for cbc\(aes\), got 5/,
      );
      expect(() => open('gcm(aes)', key, iv)).to.throw(RangeError, 'iv: expected 12 bytes for gcm(aes), got 16');
      expect(() => open('cbc(aes)', key, iv, { authTagLength: 16 })).to.throw(
        TypeError,
        /^authTagLength: expected none/,
      );
      expect(() => open('gcm(aes)', key, nonce, { authTagLength: 0 })).to.throw(RangeError, /^authTagLength: /);
      expect(() => open('gcm(aes)', key, nonce, { authTagLength: 3 })).to.throw(AlgError, /no tag of this size/);
      expect(() => encrypt('cbc(aes)', { iv, ...options }, 'x')).to.throw(AlgError, /set the key first/);
      expect(() => open('cbc(aes)', key, iv, { provider: 'x' })).to.throw(TypeError, /^provider: expected/);
      expect(() => open('cbc(aes)', key, iv, { engine: 'x' })).to.throw(TypeError, /^engine: expected/);
      const running = open('cbc(aes)', key, iv);
      expect(() => running.update(5 as unknown as string)).to.throw(TypeError, /^data: expected/);
      expect(() => running.update('x', 'utf8', 'utf9' as 'utf8')).to.throw(TypeError, /^outputEncoding: /);
      expect(running.update('x')).to.have.length(0);
      running.destroy();
      expect(() => encrypt('xts(aes)', { key, iv, ...options }, Buffer.alloc(15))).to.throw();
    });

    it('refuses update() while the stream’s own data is on its way, and goes on', async () => {
      const data = seeded(8).bytes(300_000);
      const stream = createCipheriv('ctr(aes)', key, iv, { engine: 'lanes', ...options });
      stream.write(data);
      expect(() => stream.update('x'))
        .to.throw(AlgError)
        .with.property('code', 'EBUSY');
      stream.end();
      const expected = nodeCrypto.createCipheriv('aes-256-ctr', key, iv).update(data);
      expect(Buffer.concat(await stream.toArray()).equals(expected)).to.equal(true);
    });

    it('takes in no more than its consumer takes out', async () => {
      const piece = Buffer.alloc(16 * 1024);
      let written = 0;
      let read = 0;
      let most = 0;
      async function* source() {
        for (let i = 0; i < 200; i++) {
          written += piece.length;
          most = Math.max(most, written - read);
          yield piece;
        }
      }
      const slow = new Writable({
        write(chunk: Buffer, _encoding, callback) {
          read += chunk.length;
          setImmediate(callback);
        },
      });
      await pipeline(source, createCipheriv('ctr(aes)', key, iv, options), slow);
      expect(read).to.equal(200 * piece.length);
      // The buffers of the readable and the writable side, and of the consumer: each some pieces, not 3 MiB.
      expect(most).to.be.at.most(12 * piece.length);
    });

    it('stops when aborted: before, between pieces, and as a stream', async () => {
      const reason = new Error('enough');
      const what = { key, iv, ...options };
      const failure = (running: Promise<unknown>) =>
        running.then(
          () => undefined,
          (error: Error) => error,
        );
      const before = promises.encrypt('cbc(aes)', { ...what, signal: AbortSignal.abort(reason) }, 'x');
      expect(await failure(before)).to.include({ name: 'AbortError', cause: reason });

      const controller = new AbortController();
      const between = promises.encrypt('cbc(aes)', { ...what, signal: controller.signal }, Buffer.alloc(1_000_000));
      controller.abort(reason);
      expect(await failure(between)).to.include({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });

      const later = new AbortController();
      const stream = createCipheriv('cbc(aes)', key, iv, { ...options, signal: later.signal });
      stream.write('x');
      later.abort(reason);
      const [error] = await once(stream, 'error');
      expect(error).to.include({ name: 'AbortError', cause: reason });
      const wrong = promises.encrypt('cbc(aes)', { ...what, signal: 5 as unknown as AbortSignal }, 'x');
      expect(await failure(wrong))
        .to.be.instanceOf(TypeError)
        .with.property('message')
        .match(/^signal: /);
    });

    it('is disposed of while data is in flight', async () => {
      const stream = createCipheriv('ctr(aes)', key, iv, options);
      stream.write(Buffer.alloc(1_000_000));
      await stream[Symbol.asyncDispose]();
      expect(stream.destroyed).to.equal(true);
      expect(() => stream.update('x')).to.throw(AlgError);
    });
  });
}
