import { createCipheriv, createDecipheriv } from 'node:crypto';
import { expect } from 'chai';
import { HazardChain } from '../../lib/compare/iv/hazard-chain.js';
import { AlgError, ChainError, type ChainMode, type EngineName, IvChain, probeAio, Tfm } from '../../lib/index.js';
import { seeded } from '../support/manual-engine.js';

// Cameron 2018: libkcapi's call on the list, kcapi -x 9 -c "cbc(aes)". One block there; two blocks as two IOCBs here.
const key = Buffer.from('8d7dd9b0170ce0b5f2f8e1aa768e01e91da8bfc67fd486d081b28254c99eb423', 'hex');
const iv = Buffer.from('7fbc02ebf5b93322329df9bfccb635af', 'hex');
const block = Buffer.from('48981da18e4bb9ef7e2e3162d16b1910', 'hex');

const drivers = ['virtio_crypto_aes_cbc', 'cryptd(cbc(aes-generic))', 'cbc-aes-aesni', 'cbc(aes)'];
const engines: EngineName[] = ['sync', 'lanes', 'aio'];

function encrypted(pieces: Buffer[]): Buffer[] {
  const cipher = createCipheriv('aes-256-cbc', key, iv).setAutoPadding(false);
  return pieces.map((piece) => cipher.update(piece));
}

function decrypted(pieces: Buffer[]): Buffer[] {
  const cipher = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false);
  return pieces.map((piece) => cipher.update(piece));
}

async function chained(
  tfm: Tfm,
  mode: ChainMode,
  direction: 'encrypt' | 'decrypt',
  pieces: Buffer[],
): Promise<Buffer[]> {
  const chain = new IvChain(tfm, { mode, direction, iv, depth: 4 });
  const out = pieces.map((piece) => Buffer.alloc(piece.length));
  await Promise.all(pieces.map((piece, index) => chain.push(piece, out[index]!)));
  chain.close();
  return out;
}

describe('IvChain on the kernel', () => {
  for (const driver of drivers)
    for (const engine of engines) {
      describe(`${driver}, ${engine}`, () => {
        let tfm: Tfm;
        before(() => {
          tfm = new Tfm('skcipher', driver, { key, provider: 'kernel', engine });
        });
        after(() => tfm.close());

        for (const mode of ['mutex', 'staged', 'socket'] as const)
          it(`${mode}: the vector of Cameron 2018, two IOCBs, comes out fully block-chained`, async () => {
            const [first, second] = await chained(tfm, mode, 'encrypt', [block, block]);
            expect([first, second]).to.deep.equal(encrypted([block, block]));
            expect(first).to.not.deep.equal(second);
          });

        for (const mode of ['mutex', 'staged', 'socket', 'resolved'] as const)
          it(`${mode}: decrypts the vector of Cameron 2018`, async () => {
            expect(await chained(tfm, mode, 'decrypt', encrypted([block, block]))).to.deep.equal([block, block]);
          });

        it('seeded: sizes from 0 to 64 KiB, both ways, in place and not', async () => {
          const next = seeded(driver.length + engine.length);
          const pieces = Array.from({ length: 24 }, () =>
            Buffer.alloc(16 * Math.floor(next() ** 4 * 4096), Math.floor(next() * 256)),
          );
          for (const mode of ['mutex', 'staged', 'socket'] as const)
            expect(Buffer.concat(await chained(tfm, mode, 'encrypt', pieces))).to.deep.equal(
              Buffer.concat(encrypted(pieces)),
            );
          for (const mode of ['mutex', 'staged', 'socket', 'resolved'] as const)
            expect(Buffer.concat(await chained(tfm, mode, 'decrypt', pieces))).to.deep.equal(
              Buffer.concat(decrypted(pieces)),
            );
          const inPlace = pieces.map((piece) => Buffer.from(piece));
          const chain = new IvChain(tfm, { mode: 'staged', direction: 'decrypt', iv, depth: 3 });
          await Promise.all(inPlace.map((piece) => chain.push(piece, piece)));
          chain.close();
          expect(Buffer.concat(inPlace)).to.deep.equal(Buffer.concat(decrypted(pieces)));
        });

        for (const mode of ['mutex', 'staged', 'socket', 'resolved'] as const)
          it(`${mode}: a request that the kernel refuses stops the chain, and leaves nothing behind`, async () => {
            const direction = mode === 'resolved' ? 'decrypt' : 'encrypt';
            const chain = new IvChain(tfm, { mode, direction, iv, depth: 3 });
            // Less than whole blocks: EINVAL from the cipher. It has to be the last that is accepted.
            const whole = Buffer.alloc(32, 1);
            const part = Buffer.alloc(24, 2);
            const out = Buffer.alloc(32);
            const outcomes = await Promise.allSettled([chain.push(whole, out), chain.push(part, Buffer.alloc(24))]);
            expect(outcomes.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected']);
            const { reason } = outcomes[1] as PromiseRejectedResult;
            expect(reason).to.be.instanceOf(AlgError).with.property('code', 'EINVAL');
            expect(chain.failure).to.be.instanceOf(ChainError).with.property('index', 1);
            chain.close();
            expect(await chained(tfm, 'staged', 'encrypt', [block, block])).to.deep.equal(encrypted([block, block]));
          });
      });
    }

  it('inline: sixteen at once, each with its own IV', async () => {
    for (const driver of drivers) {
      const tfm = new Tfm('skcipher', driver, { key, provider: 'kernel', engine: 'aio' });
      const chain = new IvChain(tfm, { mode: 'inline', direction: 'encrypt', depth: 16 });
      const ivs = Array.from({ length: 64 }, (_, index) => Buffer.alloc(16, index));
      const out = ivs.map(() => Buffer.alloc(4096));
      const src = Buffer.alloc(4096, 9);
      await Promise.all(ivs.map((own, index) => chain.push(src, out[index]!, own)));
      out.forEach((bytes, index) => {
        const own = createCipheriv('aes-256-cbc', key, ivs[index]!).setAutoPadding(false).update(src);
        expect(bytes.equals(own), `${driver}, request ${index}`).to.equal(true);
      });
      tfm.close();
    }
  });

  it('hazard: wrong outputs where the kernel runs IOCBs asynchronously, none where it serialises them', async () => {
    const { state } = await probeAio('skcipher');
    // Not whichever driver the probe took: what dm-crypt has made the kernel load is no CBC.
    const tfm = new Tfm('skcipher', drivers[0]!, { key, provider: 'kernel', engine: 'aio' });
    const chain = new HazardChain(tfm, 'encrypt');
    const src = Buffer.alloc(96 * 1024, 5); // long enough to be in flight while the next is put in
    const ivs = Array.from({ length: 64 }, (_, index) => Buffer.alloc(16, index));
    const out = ivs.map(() => Buffer.alloc(src.length));
    for (const [index, own] of ivs.entries())
      if (chain.submit(src, out[index]!, () => {}, own) === 'busy') await chain.room();
    await chain.idle();
    const wrong = out.filter((bytes, index) => {
      const own = createCipheriv('aes-256-cbc', key, ivs[index]!).setAutoPadding(false).update(src);
      return !bytes.equals(own);
    }).length;
    if (state === 'serialised') expect(wrong).to.equal(0);
    else expect(wrong).to.be.greaterThan(0);
    // Whatever went wrong stayed in that chain.
    chain.close();
    expect(await chained(tfm, 'mutex', 'encrypt', [block, block])).to.deep.equal(encrypted([block, block]));
    tfm.close();
  });
});
