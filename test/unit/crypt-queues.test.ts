import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, getPriority } from 'node:os';
import { expect } from 'chai';
import { type MakeMempool, Mempool } from '../../lib/base/mempool.js';
import type { Engine } from '../../lib/crypto/engine/engine.js';
import { CryptConvert } from '../../lib/crypto/sector/convert.js';
import { Bio, type BioError } from '../../lib/dm/bio.js';
import { openTable } from '../../lib/dm/open-table.js';
import { ManualDevice } from '../support/manual-device.js';
import { ManualEngine, permutations } from '../support/manual-engine.js';

const key = '000102030405060708090a0b0c0d0e0fF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF';
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Crypt on a device whose bios wait for the test. */
async function volume(options: string, engine?: Engine | 'sync' | 'lanes', cipher = 'aes-xts-plain64', hex = key) {
  const below = new ManualDevice(65536);
  const words = options ? ` ${options.split(' ').length} ${options}` : '';
  const device = await openTable(`0 128 crypt ${cipher} ${hex} 0 below 0${words}`, {
    provider: 'library',
    devices: { below },
    ...(engine && { engine }),
  });
  return { below, device };
}

/** Waits, by turns of the loop, for what lanes or turns bring. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** This process's lanes. */
function lanes(): { task: string; nice: number }[] {
  return readdirSync('/proc/self/task').flatMap((task) => {
    const stat = readFileSync(`/proc/self/task/${task}/stat`, 'utf8');
    const [, name = '', rest = ''] = /\((.*)\) (.*)/.exec(stat) ?? [];
    return name.startsWith('dmalg-lane') ? [{ task, nice: Number(rest.split(' ')[16]) }] : [];
  });
}

/** What opening a device with these options adds to the lanes. */
async function lanesOf(options: string, engine?: 'sync' | 'lanes'): Promise<number[]> {
  const before = lanes();
  const { device } = await volume(options, engine);
  // Not those behind the others: numbers of tasks begin anew.
  const added = lanes().filter(({ task }) => !before.some((other) => other.task === task));
  await device.close();
  expect(lanes()).to.deep.equal(before);
  return added.map(({ nice }) => nice);
}

describe('dm-crypt: queues', () => {
  const many = availableParallelism();
  for (const [options, engine, count] of [
    ['', undefined, many],
    ['', 'lanes', many],
    ['', 'sync', 0],
    ['same_cpu_crypt', undefined, 1],
    ['no_read_workqueue', undefined, many],
    ['submit_from_crypt_cpus', undefined, many],
  ] as const)
    it(`'${options}', engine ${engine ?? 'auto'}: ${count} lanes of the device's own, which go with it`, async () =>
      expect(await lanesOf(options, engine)).to.deep.equal(Array(count).fill(getPriority())));

  it('high_priority: nice -20, or a warning where that is not permitted', async () => {
    const warnings: Error[] = [];
    const listen = (warning: Error) => warnings.push(warning);
    process.on('warning', listen);
    const nices = await lanesOf('high_priority');
    await turn();
    process.off('warning', listen);
    const codes = warnings.map((warning) => (warning as NodeJS.ErrnoException).code);
    if (nices[0] === -20) expect([nices, codes]).to.deep.equal([Array(many).fill(-20), []]);
    else expect([nices, codes]).to.deep.equal([Array(many).fill(getPriority()), ['DMALG_HIGH_PRIORITY']]);
  });

  const inTurn = [
    { options: '', order: 'sorted', loops: true },
    { options: 'same_cpu_crypt', order: 'sorted', loops: true },
    { options: 'no_write_workqueue', order: 'as they came', loops: false },
    { options: 'no_read_workqueue no_write_workqueue', order: 'as they came', loops: false },
  ];
  for (const { options, order, loops } of inTurn)
    it(`writes with '${options}' go below ${order}${loops ? '' : ', without a turn of the loop'}`, async () => {
      const { below, device } = await volume(options);
      const sectors = [40, 8, 24, 0, 56];
      let turns = 0;
      const writes = sectors.map((sector) => device.write(sector * 512, Buffer.alloc(512, sector)));
      if (loops) await until(() => below.waiting.length === sectors.length);
      else for (; below.waiting.length < sectors.length; turns++) await Promise.resolve();
      expect(turns).to.be.lessThan(100);
      const seen = below.waiting.map(({ sector }) => sector);
      // Lanes may finish some of them in an earlier turn of the loop: each turn is sorted.
      if (order === 'as they came') expect(seen).to.deep.equal(sectors);
      else expect([...seen].sort((a, b) => a - b)).to.deep.equal([0, 8, 24, 40, 56]);
      while (below.waiting.length) below.go();
      await Promise.all(writes);
      await device.close();
    });

  for (const order of permutations(4))
    it(`asynchronous driver, completions in the order ${order.join('')}: one turn's writes are sorted`, async () => {
      for (const options of ['', 'submit_from_crypt_cpus']) {
        const engine = new ManualEngine();
        const { below, device } = await volume(options, engine);
        const sectors = [24, 8, 16, 0];
        const writes = sectors.map((sector) => device.write(sector * 512, Buffer.alloc(512, sector)));
        await until(() => engine.flying.length === 4);
        const works = engine.flying.map(({ work }) => work);
        for (const index of order) engine.complete(engine.flying.findIndex(({ work }) => work === works[index]));
        await until(() => below.waiting.length > 0);
        // Also with submit_from_crypt_cpus: what was asynchronous is sorted.
        expect(below.list).to.deep.equal(['write 0+1', 'write 8+1', 'write 16+1', 'write 24+1']);
        while (below.waiting.length) below.go();
        await Promise.all(writes);
        await device.close();
      }
    });

  it('submit_from_crypt_cpus: what lanes have encrypted goes below at once, in the order of completion', async () => {
    const { below, device } = await volume('submit_from_crypt_cpus same_cpu_crypt');
    const sectors = [40, 8, 24, 0, 56];
    const writes = sectors.map((sector) => device.write(sector * 512, Buffer.alloc(512, sector)));
    await until(() => below.waiting.length === sectors.length);
    expect(below.waiting.map(({ sector }) => sector)).to.deep.equal(sectors);
    while (below.waiting.length) below.go();
    await Promise.all(writes);
    await device.close();
  });

  for (const order of permutations(4))
    it(`reads whose decryption completes in the order ${order.join('')} end with their own bytes`, async () => {
      const engine = new ManualEngine();
      const { below, device } = await volume('', engine);
      const written = [0, 1, 2, 3].map((i) => device.write(i * 1024, Buffer.alloc(1024, i + 1)));
      await until(() => engine.flying.length === 4);
      while (engine.flying.length) engine.complete(0);
      await until(() => below.waiting.length === 4);
      while (below.waiting.length) below.go();
      await Promise.all(written);
      const reads = [0, 1, 2, 3].map((i) => device.read(i * 1024, 1024));
      await until(() => below.waiting.length === 4);
      for (const rank of order) below.go(rank % below.waiting.length);
      await until(() => engine.flying.length === 4);
      for (const rank of order) engine.complete(rank % engine.flying.length);
      for (const [i, read] of reads.entries())
        expect(Buffer.from(await read).equals(Buffer.alloc(1024, i + 1))).to.equal(true);
      await device.close();
    });

  it('inlineBytes: shorter reads end without a turn of the loop, longer ones on lanes', async () => {
    const below = new ManualDevice(65536);
    const line = `0 128 crypt aes-xts-plain64 ${key} 0 below 0`;
    const options = { provider: 'library', engine: 'lanes', devices: { below } } as const;
    for (const [inlineBytes, length, inline] of [
      [1024, 1024, true],
      [1024, 1536, false],
      [0, 512, false],
    ] as const) {
      await using device = await openTable(line, { ...options, inlineBytes });
      let ended = false;
      const read = device.read(0, length).then(() => {
        ended = true;
      });
      await until(() => below.waiting.length === 1);
      below.go();
      for (let step = 0; step < 50; step++) await Promise.resolve();
      expect(ended).to.equal(inline);
      await read;
    }
  });

  it('a cipher that fails in flight fails exactly its sectors, and the write does not go below', async () => {
    const engine = new ManualEngine();
    const { below, device } = await volume('', engine);
    const results = new Map<number, BioError | null>();
    for (const sector of [0, 8])
      device.submit(
        new Bio({ op: 'write', sector, bytes: Buffer.alloc(2048) }, (error) => void results.set(sector, error)),
      );
    await until(() => engine.flying.length === 2);
    engine.complete(0, -5);
    engine.complete(0);
    await until(() => below.waiting.length === 1);
    below.go();
    await until(() => results.size === 2);
    expect(results.get(0)).to.deep.include({ code: 'EIO', failed: [0, 1, 2, 3].map((first) => ({ first, count: 1 })) });
    expect(results.get(8)).to.equal(null);
    await device.close();
  });
});

describe('dm-crypt: memory', () => {
  const longest = 1 << 20;
  const noMemory = () => {
    throw new Error('no memory');
  };
  /** Mempools in a machine that has no more than their reserves. */
  const makeReserve: MakeMempool = (kind, options) => {
    expect(kind).to.equal('pages of a write');
    let left = options.reserve;
    return new Mempool({ ...options, allocate: () => (left-- > 0 ? options.allocate() : noMemory()) });
  };

  for (const [fault, expected] of [
    ['none', [null, null, null]],
    ['of the cipher', ['EIO', null, null]],
    ['of the device below', ['EREMOTEIO', null, null]],
  ] as const)
    it(`without any, writes get on one after the other in the pages that the device keeps; fault of the first: ${fault}`, async () => {
      const engine = new ManualEngine();
      const below = new ManualDevice(65536);
      const device = await openTable(`0 128 crypt aes-xts-plain64 ${key} 0 below 0`, {
        provider: 'library',
        engine,
        memory: { allocate: noMemory, makeMempool: makeReserve },
        devices: { below },
      });
      const results: (string | null)[] = [];
      for (const sector of [0, 8, 16])
        device.submit(
          new Bio({ op: 'write', sector, bytes: Buffer.alloc(4096, sector + 1) }, (error) =>
            results.push(error?.code ?? null),
          ),
        );
      for (const index of [0, 1, 2]) {
        await until(() => engine.flying.length > 0);
        engine.complete(0, index === 0 && fault === 'of the cipher' ? -5 : undefined);
        if (index === 0 && fault === 'of the cipher') continue;
        await until(() => below.waiting.length > 0);
        // The next one has nothing to be encrypted into until this one has been written.
        expect([engine.flying.length, below.list]).to.deep.equal([0, [`write ${index * 8}+8`]]);
        below.go(0, index === 0 && fault === 'of the device below' ? 'EREMOTEIO' : null);
      }
      await until(() => results.length === 3);
      expect(results).to.deep.equal(expected);
      expect(device.memoryUsage()).to.deep.equal({ reserved: longest, inUse: 0 });
      const read = device.read(4096, 8192);
      await until(() => below.waiting.length > 0);
      below.go();
      await until(() => engine.flying.length > 0);
      engine.complete(0);
      const written = Buffer.concat([Buffer.alloc(4096, 9), Buffer.alloc(4096, 17)]);
      expect(written.equals(await read)).to.equal(true);
      await device.close();
    });

  it('where there is memory, writes take just as much as they are long, and leave the pages to others', async () => {
    const asked: number[] = [];
    const allocate = (bytes: number) => {
      asked.push(bytes);
      return Buffer.alloc(bytes);
    };
    await using device = await openTable(`0 128 crypt aes-xts-plain64 ${key} 0 ram:65536 0`, {
      provider: 'library',
      memory: { allocate },
    });
    await Promise.all([device.write(0, Buffer.alloc(512, 1)), device.write(8192, Buffer.alloc(16384, 2))]);
    expect(asked).to.deep.equal([512, 16384]);
    expect(Buffer.alloc(16384, 2).equals(await device.read(8192, 16384))).to.equal(true);
  });

  it('its mempools are made as the owner of the device says: one for pages, one more with several keys', async () => {
    const made: [string, number][] = [];
    const makeMempool: MakeMempool = (kind, options) => {
      made.push([kind, options.reserve]);
      return new Mempool(options);
    };
    for (const cipher of ['aes-cbc-plain64', 'aes:2-cbc-plain64']) {
      const options = { provider: 'library', reserve: 3, memory: { makeMempool } } as const;
      await (await openTable(`0 128 crypt ${cipher} ${key} 0 ram:65536 0`, options)).close();
    }
    expect(made).to.deep.equal([
      ['pages of a write', 1],
      ['requests of a key', 3],
      ['pages of a write', 1],
    ]);
  });
});

describe('dm-crypt: requests of a volume with several keys', () => {
  const bytes = Buffer.from(Array.from({ length: 64 * 512 }, (_, i) => i * 31 + (i >> 9)));
  const open = (engine: Engine | 'sync', reserve: number) =>
    new CryptConvert({
      cipher: 'aes:4-cbc-plain64',
      key: Buffer.alloc(64, 1).map((_, i) => i),
      provider: 'library',
      engine,
      reserve,
    });
  const expected = Buffer.alloc(bytes.length);
  before(async () => {
    using convert = open('sync', 0);
    expect(await convert.convert('encrypt', 0, bytes, expected)).to.equal(false);
  });

  it('one after the other they need no more than the one that the bio carries', async () => {
    // With no reserve and no memory for more, any other request would wait for ever.
    using convert = open('sync', 0);
    const out = Buffer.alloc(bytes.length);
    await convert.convert('encrypt', 0, bytes, out);
    expect(out.equals(expected)).to.equal(true);
    expect(convert.memoryUsage()).to.deep.equal({ reserved: 0, inUse: 0 });
  });

  for (const order of permutations(4))
    it(`asynchronous ones come from the mempool and go back to it: completions ${order.join('')}`, async () => {
      const engine = new ManualEngine();
      using convert = open(engine, 2);
      const request = 65536 + (65536 / 512) * 8;
      expect(convert.memoryUsage()).to.deep.equal({ reserved: 2 * request, inUse: 0 });
      const out = Buffer.alloc(bytes.length);
      const done = convert.convert('encrypt', 0, bytes, out);
      await until(() => engine.flying.length === 4);
      expect(convert.memoryUsage()).to.deep.equal({ reserved: 0, inUse: 3 * request });
      for (const rank of order) engine.complete(rank % engine.flying.length);
      expect(await done).to.equal(true);
      expect(out.equals(expected)).to.equal(true);
      expect(convert.memoryUsage()).to.deep.equal({ reserved: 2 * request, inUse: 0 });
    });

  it('a busy engine is waited for before the next request', async () => {
    class Busy extends ManualEngine {
      open: (() => void)[] = [];
      override submit(...args: Parameters<ManualEngine['submit']>) {
        super.submit(...args);
        return 'busy' as const;
      }
      override room(): Promise<void> {
        return new Promise((resolve) => this.open.push(resolve));
      }
    }
    const engine = new Busy();
    using convert = open(engine, 1);
    const out = Buffer.alloc(bytes.length);
    const done = convert.convert('encrypt', 0, bytes, out);
    for (let submitted = 1; submitted <= 4; submitted++) {
      await until(() => engine.open.length > 0);
      expect(engine.submitted).to.equal(submitted);
      engine.complete(0);
      engine.open.shift()!();
    }
    await done;
    expect(out.equals(expected)).to.equal(true);
  });
});
