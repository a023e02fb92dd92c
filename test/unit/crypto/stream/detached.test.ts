import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { createCipheriv, encrypt, hash, promises } from '../../../../lib/index.js';
import { ManualEngine } from '../../../support/manual-engine.js';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

const provider = 'library' as const;
const key = Buffer.alloc(32, 7);
const iv = Buffer.alloc(16, 9);

/** Takes the memory away, and has it unmapped. */
function detach(bytes: Uint8Array): void {
  structuredClone(bytes.buffer, { transfer: [bytes.buffer as ArrayBuffer] });
  collect();
}

const made = (length: number) => new Uint8Array(length).fill(0x5a);

describe('bytes that are detached while a promise function works on them', function () {
  this.timeout(60_000);
  /** What is asked for, and what the same is synchronously. */
  const cases: Record<string, [run: (data: Uint8Array) => Promise<Buffer>, sync: (data: Uint8Array) => Buffer]> = {
    hash: [(data) => promises.hash('sha256', data, { provider }), (data) => hash('sha256', data, { provider })],
    'hash with a key': [
      (data) => promises.hash('hmac(sha512)', data, { key, provider }),
      (data) => hash('hmac(sha512)', data, { key, provider }),
    ],
    ...Object.fromEntries(
      [
        ['cbc(aes)', iv],
        ['ctr(aes)', iv],
        ['chacha20', iv],
        ['gcm(aes)', iv.subarray(4)],
        ['xts(aes)', iv],
      ].map(([name, own]) => {
        const options = {
          key: name === 'xts(aes)' ? Buffer.concat([key, iv, iv]).fill(1, 32) : key,
          iv: own as Buffer,
          provider,
        };
        return [
          `encrypt ${name}`,
          [
            (data: Uint8Array) => promises.encrypt(name as string, options, data),
            (data: Uint8Array) => encrypt(name as string, options, data),
          ],
        ];
      }),
    ),
  };

  for (const [name, [run, sync]] of Object.entries(cases)) {
    it(`${name}: a short message was copied at the call`, async () => {
      for (const length of [0, 16, 4096, 1 << 20]) {
        const data = made(length);
        const expected = sync(made(length));
        const running = run(data);
        detach(data);
        expect((await running).equals(expected), `${length} bytes`).to.equal(true);
      }
    });

    it(`${name}: a long one is right or refused, never wrong`, async () => {
      const data = made(12 << 20);
      const running = run(data);
      detach(data);
      const outcome = await running.then(
        (output) => output.equals(sync(made(12 << 20))),
        (error: unknown) => error,
      );
      if (outcome === true) return;
      expect(outcome).to.be.instanceOf(TypeError);
      expect((outcome as Error).message).to.match(/data: expected bytes that stay until the promise settles/);
    });
  }

  it('a message that is changed after the call is the one that was given', async () => {
    for (const length of [16, 4096, 1 << 20]) {
      const engine = new ManualEngine();
      const data = made(length);
      const runs = [
        promises.hash('sha256', data, { provider, engine }),
        promises.encrypt('gcm(aes)', { key, iv: iv.subarray(4), provider, engine }, data),
        promises.encrypt('ctr(aes)', { key, iv, provider, engine }, data),
      ];
      data.fill(0);
      const settled = Promise.all(runs);
      let isSettled = false;
      void settled.finally(() => {
        isSettled = true;
      });
      while (!isSettled) {
        while (engine.flying.length > 0) engine.complete(0);
        await new Promise(setImmediate);
      }
      const [digest, sealed, stream] = await settled;
      expect(digest!.equals(hash('sha256', made(length), { provider }))).to.equal(true);
      expect(sealed!.equals(encrypt('gcm(aes)', { key, iv: iv.subarray(4), provider }, made(length)))).to.equal(true);
      expect(stream!.equals(encrypt('ctr(aes)', { key, iv, provider }, made(length)))).to.equal(true);
    }
  });

  it('what a stream was given', async () => {
    const cipher = createCipheriv('ctr(aes)', key, iv, { provider });
    const data = made(8 << 20);
    cipher.write(data);
    detach(data);
    cipher.end();
    const output: Buffer[] = [];
    cipher.on('data', (part) => output.push(part));
    await once(cipher, 'end');
    expect(Buffer.concat(output).equals(encrypt('ctr(aes)', { key, iv, provider }, made(8 << 20)))).to.equal(true);
  });

  it('parts that come one by one', async () => {
    const parts = [made(3 << 20), made(5), made(1 << 20)];
    async function* source() {
      for (const part of parts) {
        yield part;
        detach(part); // its turn is over when the next is asked for
      }
    }
    const all = made((4 << 20) + 5);
    expect((await promises.hash('sha256', source(), { provider })).equals(hash('sha256', all, { provider }))).to.equal(
      true,
    );
  });
});
