import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { createCipheriv, createHash, IvChain, openLanes, openTable, Tfm } from '../../lib/index.js';

const cycles = 10_000;
/**
 * Bytes that the allocators of V8 and of C may keep or scatter in so many cycles: less than 1 KiB a cycle would leave. They take more until they have what they
 * work with, some 30 MiB in the first 30,000; what is lost is lost in each 10,000.
 */
const slack = 8 << 20;
const rounds = 5;
const provider = 'library' as const;
const bytes = (length: number) => new Uint8Array(length);
const key = bytes(32);

/** What is opened and closed; each does some work in between. */
const things: Record<string, () => unknown> = {
  'a tfm and a request': () => {
    using tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider });
    Object.assign(tfm.request(), { iv: bytes(16), src: bytes(64), dst: bytes(64) }).runSync();
  },
  'a request on lanes': async () => {
    await using tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider, engine: 'lanes' });
    await Object.assign(tfm.request(), { iv: bytes(16), src: bytes(64), dst: bytes(64) }).run();
  },
  'a chain': async () => {
    await using tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider, engine: 'lanes' });
    const chain = new IvChain(tfm, { mode: 'staged', direction: 'encrypt', iv: bytes(16), depth: 2 });
    await Promise.all([chain.push(bytes(64), bytes(64)), chain.push(bytes(64), bytes(64))]);
    chain.close();
  },
  'a hash, and a copy of it': () => {
    using hash = createHash('sha256', { provider }).update('x');
    hash.copy().digest();
  },
  'a cipher stream': () => void createCipheriv('ctr(aes)', key, bytes(16), { provider }).destroy(),
  'worker lanes': async () => {
    const engine = openLanes(2);
    using tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider, engine });
    await Object.assign(tfm.request(), { iv: bytes(16), src: bytes(64), dst: bytes(64) }).run();
    engine.close();
  },
  'a crypt device with its lanes': async () => {
    const line = `0 8 crypt aes-cbc-plain64 ${'00'.repeat(32)} 0 ram:4096 0`;
    await using device = await openTable(line, { provider });
    await device.write(0, bytes(4096));
  },
};

describe('10,000 times opened and closed', function () {
  this.timeout(0);
  for (const [name, cycle] of Object.entries(things))
    it(`${name}: no descriptor, no thread, no memory is left`, async () => {
      const run = async (count: number) => {
        for (let turn = 0; turn < count; turn++) {
          await cycle();
          // The loop closes what it has watched.
          if (turn % 8 === 7) await setImmediate();
        }
        for (let turn = 0; turn < 4; turn++) {
          gc!();
          await setImmediate();
        }
        const numberOf = (what: string) => readdirSync(`/proc/self/${what}`).length;
        return { descriptors: numberOf('fd'), threads: numberOf('task'), memory: process.memoryUsage.rss() };
      };
      await run(cycles / 10);
      let before = await run(cycles / 10);
      const growth: number[] = [];
      do {
        const after = await run(cycles);
        expect({ ...after, memory: 0 }).to.deep.equal({ ...before, memory: 0 });
        growth.push(after.memory - before.memory);
        before = after;
      } while (growth.at(-1)! > slack && growth.length < rounds);
      expect(growth.at(-1), `bytes in each ${cycles}: ${growth}`).to.be.at.most(slack);
    });
});
