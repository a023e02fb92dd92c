import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import type { MakeMempool } from '../../lib/base/mempool.js';
import { concludeMempool, explainDeadlock } from '../../lib/compare/mempool/conclusion.js';
import { Load } from '../../lib/compare/mempool/load.js';
import { compareMempool, type StackResult, stackCases } from '../../lib/compare/mempool/mempool.js';
import { formatMempool } from '../../lib/compare/mempool/table.js';
import { MempoolTrace, withErrands } from '../../lib/compare/mempool/trace.js';
import { Bio } from '../../lib/dm/bio.js';
import { openTable } from '../../lib/dm/open-table.js';
import { RamDevice } from '../../lib/dm/ram-device.js';
import type { BlockDevice } from '../../lib/dm/target.js';
import { mempoolReport } from '../support/reports.js';

const schema = JSON.parse(readFileSync(new URL('../../../lib/compare/report.schema.json', import.meta.url), 'utf8'));

/** A device that holds an element while it reads below, or until it is let go. */
function holding(makeMempool: MakeMempool, reserve: number, below: BlockDevice | undefined, name: string) {
  const pool = makeMempool('elements', { reserve, allocate: () => ({}), bytes: 1 });
  const held: (() => void)[] = [];
  const device: BlockDevice = {
    sectors: 8,
    blockSize: 512,
    discards: false,
    submit: (bio) =>
      void pool.take().then((element) => {
        const end = () => {
          pool.give(element);
          bio.end();
        };
        if (below) below.submit(new Bio({ op: 'read', sector: 0, bytes: bio.bytes }, end));
        else held.push(end);
      }),
    describe: () => name,
    close: async () => {},
  };
  return { device: withErrands(device, name), held };
}

describe('the deadlock detector', () => {
  const read = (device: BlockDevice) =>
    device.submit(new Bio({ op: 'read', sector: 0, bytes: Buffer.alloc(512) }, () => {}));

  it('bios that wait for one that will end are no deadlock', async () => {
    const trace = new MempoolTrace(() => {});
    const { device, held } = holding(trace.maker(false), 1, undefined, 'device 1');
    for (let count = 0; count < 3; count++) read(device);
    await turn();
    expect(trace.deadlock()).to.deep.equal([]);
    for (let count = 0; count < 3; count++) {
      held[count]!();
      await turn();
    }
    expect(held).to.have.length(3);
  });

  for (const [shared, reserve, reads, deadlocked] of [
    [false, 1, 5, false],
    [true, 1, 1, true],
    [true, 2, 1, false],
    [true, 2, 2, true],
    [true, 3, 2, false],
  ] as const)
    it(`${reads} in flight on two devices, ${shared ? 'a shared pool' : 'pools'} of ${reserve}: ${deadlocked ? 'deadlock' : 'none'}`, async () => {
      let changes = 0;
      const trace = new MempoolTrace(() => changes++);
      const make = trace.maker(shared);
      const lower = holding(make, reserve, undefined, 'device 1');
      const upper = holding(make, reserve, lower.device, 'device 2');
      for (let count = 0; count < reads; count++) read(upper.device);
      await turn();
      const waits = trace.deadlock();
      expect(waits.length > 0).to.equal(deadlocked);
      if (!deadlocked) return;
      expect(changes).to.be.above(0);
      expect(waits.every(({ holders }) => holders.length === reserve)).to.equal(true);
      expect(waits[0]!.errand.name).to.equal('bio 1 of device 1');
      expect(waits[0]!.errand.above!.name).to.equal('bio 1 of device 2');
      trace.relieve();
      await turn();
      expect(trace.deadlock()).to.deep.equal([]);
      expect(lower.held).to.have.length(reads);
    });

  it('a bio outside of the stack that holds an element is waited for: no deadlock', async () => {
    const trace = new MempoolTrace(() => {});
    const make = trace.maker(true);
    const lower = holding(make, 2, undefined, 'device 1');
    const upper = holding(make, 2, lower.device, 'device 2');
    read(lower.device);
    await turn();
    read(upper.device);
    await turn();
    expect(trace.deadlock()).to.deep.equal([]);
    lower.held[0]!();
    await turn();
    expect(lower.held).to.have.length(2);
  });
});

describe('the load of a stack', () => {
  const size = 1 << 18;
  const expected = Buffer.from(Array.from({ length: size }, (_, at) => (at * 7 + (at >> 9)) & 255));
  const extent = { least: 20, most: 20, seconds: 0 };
  const crypt = (below: BlockDevice) =>
    openTable(`0 ${size / 512} crypt aes-cbc-plain64 ${'5a'.repeat(16)} 0 below 0`, {
      provider: 'library',
      devices: { below },
    });

  for (const [what, wanted, make] of [
    ['encrypted', true, async (ram: RamDevice) => crypt(ram)],
    ['in the clear', false, async (ram: RamDevice) => ram],
    ['nowhere', false, async () => openTable(`0 ${size / 512} zero`)],
  ] as const)
    it(`writes that are kept ${what}: ${wanted ? 'right' : 'wrong'}`, async () => {
      const ram = new RamDevice(size);
      const device = await make(ram);
      const load = new Load(device, 'write', expected);
      await load.run(3, extent);
      expect(load).to.include({ begun: 20, done: 20, outputsOk: true });
      await load.readBack(ram);
      expect(load.outputsOk).to.equal(wanted);
      await device.close();
    });

  for (const right of [true, false])
    it(`reads of ${right ? 'right' : 'wrong'} bytes`, async () => {
      const load = new Load(new RamDevice(size), 'read', right ? Buffer.alloc(size) : expected);
      await load.run(3, extent);
      expect(load).to.include({ begun: 20, done: 20, outputsOk: right });
    });
});

describe('compare mempool', function () {
  this.timeout(600_000);

  it('finds what Patocka 2025 says, on verity devices and on crypt devices, with a report as the schema says', async () => {
    const ran: string[] = [];
    const report = await compareMempool({ quick: true }, { ran: (_, where) => ran.push(where) });
    const validate = new Ajv({ allErrors: true, strict: true }).compile(schema);
    expect(validate(JSON.parse(JSON.stringify(report))), JSON.stringify(validate.errors)).to.equal(true);
    expect(ran).to.have.length(stackCases(true).length);
    expect([ran[0], ran.at(-1)]).to.deep.equal([
      '2 verity devices, mempools per device',
      '8 verity devices, mempools shared',
    ]);
    for (const each of report.stacks) {
      const { target, depth, pools, reserve, inFlight, deadlock, outputsOk, done, bios } = each;
      const what = JSON.stringify({ target, depth, pools, reserve, inFlight });
      expect(outputsOk, what).to.equal(true);
      // Each bio holds one element on each device from the top down to where it is.
      const mustStop = pools === 'shared' && reserve <= inFlight * (depth - 1) && reserve <= inFlight;
      const cannotStop = pools === 'per device' || reserve > inFlight * (depth - 1);
      if (mustStop) expect(deadlock, what).not.to.have.length(0);
      if (cannotStop) expect(deadlock, what).to.have.length(0);
      expect(done === bios, what).to.equal(deadlock.length === 0);
      const { least, most } = report.method;
      expect(bios, what).to.be.within(deadlock.length > 0 ? 1 : Math.max(least, inFlight), most);
      if (deadlock.length > 0) expect(explainDeadlock(each)).to.match(/^bio \d+ of device \d+ waits for one of/);
      // A write holds nothing but its pages, from the top down to where the pool is empty.
      if (target === 'crypt' && deadlock.length > 0)
        expect(deadlock[0], what).to.deep.include({ pool: 'pages of a write', heldBy: [`bio 1 of device ${depth}`] });
    }
    expect(report.conclusion).to.match(
      /with shared ones \d+ of 18 verity stacks deadlocked, .*, and 9 of 9 crypt stacks deadlocked, the least of them 2 devices with 1 in flight and a reserve of 1;/,
    );
    expect(report.conclusion).to.match(/objection holds\.$/);
    expect(formatMempool(report)).to.contain('DEADLOCK after');
    const bytes = report.memory.map((each) => each.bytes);
    expect(bytes[0]).to.equal(59 * bytes[1]!);
    expect(bytes[2]).to.equal(59 * bytes[3]!);
  });

  it('what says most is tried first, of both kinds, and shallow stacks before deep ones', () => {
    for (const quick of [true, false]) {
      const cases = stackCases(quick);
      expect(new Set(cases.map((each) => JSON.stringify(each)))).to.have.property('size', cases.length);
      const first = cases
        .slice(0, 4)
        .map(({ depth, inFlight, reserve, target, pools }) => [depth, inFlight, reserve, target, pools]);
      expect(first).to.deep.equal([
        [2, 1, 1, 'verity', 'per device'],
        [2, 1, 1, 'verity', 'shared'],
        [2, 1, 1, 'crypt', 'per device'],
        [2, 1, 1, 'crypt', 'shared'],
      ]);
      const depths = cases.map(({ depth }) => depth).filter((depth, i, all) => depth !== all[i - 1]);
      expect(depths).to.have.length(new Set(depths).size);
      // What a crypt device keeps is the pages of one bio, whatever it is told.
      expect(cases.every(({ target, reserve }) => reserve === 1 || target === 'verity')).to.equal(true);
    }
  });

  it('tells the kinds apart, and says nothing of one that was not tried', () => {
    const { stacks, memory } = mempoolReport();
    const clause = (some: StackResult[]) => /with shared ones (.*?);/.exec(concludeMempool(some, memory, true))![1];
    const least = 'deadlocked, the least of them 2 devices with 1 in flight and a reserve of 1';
    const calm = stacks.map((each) => (each.target === 'crypt' ? { ...each, deadlock: [] } : each));
    expect(clause(stacks)).to.equal(`13 of 18 verity stacks ${least}, and 9 of 9 crypt stacks ${least}`);
    expect(clause(calm)).to.equal(`13 of 18 verity stacks ${least}, and none of 9 crypt stacks deadlocked`);
    expect(clause(stacks.filter(({ target }) => target === 'crypt'))).to.equal(`9 of 9 crypt stacks ${least}`);
  });

  it('stopped before any deadlock it does not deny that there are some', () => {
    const { stacks, memory } = mempoolReport();
    const calm = stacks.filter(({ deadlock }) => deadlock.length === 0);
    expect(concludeMempool(calm, memory, false)).to.match(/: too few to judge Patocka 2025's objection by\.$/);
    expect(concludeMempool(calm, memory, true)).to.match(/objection is not borne out\.$/);
    expect(concludeMempool(stacks, memory, false)).to.match(/objection holds\.$/);
  });

  it('interrupted it says that it knows too little', async () => {
    const report = await compareMempool({ quick: true }, { signal: AbortSignal.abort() });
    expect(report.stacks).to.deep.equal([]);
    expect(report.conclusion).to.match(/too little/);
    expect(formatMempool(report)).to.contain('too little');
  });
});
