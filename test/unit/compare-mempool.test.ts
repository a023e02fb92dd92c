import { readFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { concludeMempool, explainDeadlock } from '../../lib/compare/mempool/conclusion.js';
import { compareMempool, stackCases } from '../../lib/compare/mempool/mempool.js';
import { formatMempool } from '../../lib/compare/mempool/table.js';
import { MempoolTrace, withErrands } from '../../lib/compare/mempool/trace.js';
import { Bio } from '../../lib/dm/bio.js';
import type { BlockDevice } from '../../lib/dm/target.js';
import type { MakeMempool } from '../../lib/queue/mempool.js';

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

describe('compare mempool', function () {
  this.timeout(600_000);

  it('finds what document 5 says, on verity devices, with a report as the schema says', async () => {
    const ran: string[] = [];
    const report = await compareMempool({ quick: true }, { ran: (_, where) => ran.push(where) });
    const validate = new Ajv({ allErrors: true, strict: true }).compile(schema);
    expect(validate(JSON.parse(JSON.stringify(report))), JSON.stringify(validate.errors)).to.equal(true);
    expect(ran).to.have.length(stackCases(true).length);
    for (const each of report.stacks) {
      const { depth, pools, reserve, inFlight, deadlock, outputsOk, done, reads } = each;
      const what = JSON.stringify({ depth, pools, reserve, inFlight });
      expect(outputsOk, what).to.equal(true);
      // Each bio holds one element on each device from the top down to where it is.
      const mustStop = pools === 'shared' && reserve <= inFlight * (depth - 1) && reserve <= inFlight;
      const cannotStop = pools === 'per device' || reserve > inFlight * (depth - 1);
      if (mustStop) expect(deadlock, what).not.to.have.length(0);
      if (cannotStop) expect(deadlock, what).to.have.length(0);
      expect(done === reads, what).to.equal(deadlock.length === 0);
      const { least, most } = report.method;
      expect(reads, what).to.be.within(deadlock.length > 0 ? 1 : Math.max(least, inFlight), most);
      if (deadlock.length > 0)
        expect(explainDeadlock(each)).to.match(/^bio \d+ of device \d+ \(of \d\) waits for one of/);
    }
    expect(report.conclusion).to.match(/objection holds\.$/);
    expect(formatMempool(report)).to.contain('DEADLOCK after');
    const bytes = report.memory.map((each) => each.bytes);
    expect(bytes[0]).to.equal(59 * bytes[1]!);
    expect(bytes[2]).to.equal(59 * bytes[3]!);
  });

  it('interrupted it says that it knows too little', async () => {
    const report = await compareMempool({ quick: true }, { signal: AbortSignal.abort() });
    expect(report.stacks).to.deep.equal([]);
    expect(concludeMempool(report.stacks, report.memory)).to.match(/too little/);
    expect(formatMempool(report)).to.contain('too little');
  });
});
