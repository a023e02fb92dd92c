import { expect } from 'chai';
import { splitList } from '../../lib/cli/compare/compare.js';
import { conclude } from '../../lib/cli/compare/report.js';
import { concludeIv } from '../../lib/compare/iv/conclusion.js';
import { type Cell, type CellHead, makeCell } from '../../lib/compare/iv/report.js';
import { formatDriver } from '../../lib/compare/iv/table.js';
import { armResult } from '../../lib/compare/measure/arm-result.js';
import { forbiddenWrapper } from '../../lib/compare/measure/drivers.js';
import type { Measurement } from '../../lib/compare/measure/experiment.js';
import { groupOf } from '../../lib/compare/measure/group.js';
import { judge } from '../../lib/compare/measure/verdict.js';
import type { Report } from '../../lib/compare/report.js';
import { groupRows } from '../../lib/compare/text/group-table.js';
import { environment } from '../support/reports.js';

const rounds = 10;
const head: CellHead = { driver: 'virtio_crypto_aes_cbc', bytes: 8192, engine: 'aio', serialised: false };
const driver = { name: head.driver, provider: 'kernel', queues: true, listed: undefined } as const;

/** An arm that takes `time` ms for the 4 requests of each round, on a machine that gets slower. */
function measurement(arm: string, time: number, outcome: Partial<Measurement['outcome']> = {}): Measurement {
  return {
    arm,
    depth: 4,
    requests: 4 * rounds,
    seconds: Array.from({ length: rounds }, (_, round) => (time / 1000) * (1 + round)),
    latencies: new Float64Array(4 * rounds).fill(time / 4),
    usage: { cpuSeconds: 0.5, voluntarySwitches: 7, involuntarySwitches: 3 },
    outcome: { wrong: 0, failed: 0, asynchronous: 4 * rounds, error: undefined, ...outcome },
    figures: {},
  };
}

const measurements = [
  measurement('unchained', 1),
  measurement('mutex-aio', 2),
  measurement('staged-8', 1.25),
  measurement('hazard', 1, { wrong: 10 }),
];
const pairs = [
  ['staged-8', 'mutex-aio'],
  ['staged-8', 'mutex'],
] as const;
const compare = (list: Measurement[], { driver, bytes } = head) =>
  judge(list, pairs).map((verdict) => ({ driver, bytes, ...verdict }));
const cellsOf = (list: Measurement[], each = head) => list.map((one) => makeCell(each, one, list[0]!));

describe('report', () => {
  it('a cell is in per cent of the unchained arm in the same round', () => {
    const [unchained, mutex, , hazard] = cellsOf(measurements);
    expect(unchained!.percentOfUnchained).to.equal(100);
    expect(mutex!.percentOfUnchained).to.be.closeTo(50, 1e-9);
    expect(mutex!.percentSpread!.low).to.be.closeTo(50, 1e-9);
    expect(mutex!.latency.p50).to.equal(500);
    expect(mutex).to.include({
      requests: 4,
      repetitions: rounds,
      outputsOk: true,
      wrongOutputs: 0,
      asynchronous: true,
    });
    expect(hazard).to.include({ outputsOk: false, wrongOutputs: 0.25, outputsChecked: 40 });
  });

  it('asynchronous is what was seen; where the kernel serialises, it is said', () => {
    const inline = measurement('mutex-aio', 2, { asynchronous: 0 });
    expect(makeCell({ ...head, serialised: true }, inline, measurements[0]!)).to.include({
      asynchronous: false,
      serialisedByKernel: true,
    });
    expect(makeCell(head, inline, measurements[0]!)).to.include({ asynchronous: false, serialisedByKernel: false });
    expect(makeCell({ ...head, serialised: true }, measurements[1]!, measurements[0]!).serialisedByKernel).to.equal(
      false,
    );
  });

  it('compares the pairs that are there', () => {
    const found = compare(measurements);
    expect(found).to.have.length(1);
    expect(found[0]).to.include({ arm: 'staged-8', against: 'mutex-aio', verdict: 'differs' });
    expect(found[0]!.ratio).to.be.closeTo(1.6, 1e-9);
  });

  it('few rounds never differ', () => {
    const few = measurements.map((one) => ({ ...one, seconds: one.seconds.slice(0, 3) }));
    expect(compare(few)[0]!.verdict).to.equal('does not differ');
  });

  it('concludes what the figures say of Cameron 2018', () => {
    const conclude = (list: Measurement[], each = head) => concludeIv(driver, cellsOf(list, each), compare(list, each));
    expect(conclude(measurements)).to.equal(
      'with 8 KiB, in per cent of unchained: mutex-aio 50, staged-8 80 (Cameron 2018: mutex 30, queue 50): queueing after the build is faster (staged-8 is 1.60 times as fast, 95 %: 1.60 to 1.60), as Cameron 2018 claims.',
    );
    const slower = measurements.map((one) => (one.arm === 'staged-8' ? measurement('staged-8', 4) : one));
    expect(conclude(slower)).to.contain("against Cameron 2018's claim");
    const equal = measurements.map((one) => (one.arm === 'staged-8' ? measurement('staged-8', 2) : one));
    expect(conclude(equal)).to.contain('no gain shown');
    const inline = measurements.map((one) => ({ ...one, outcome: { ...one.outcome, asynchronous: 0 } }));
    expect(conclude(inline)).to.contain('a synchronous driver');
    expect(conclude(inline, { ...head, serialised: true })).to.contain('the kernel serialises');
    expect(conclude(measurements.slice(0, 2))).to.contain('not both measured');
    expect(conclude([measurements[0]!, measurement('mutex', 0.5)])).to.equal(
      "there is no AIO here, so nothing is queued below that a request could be staged for; Cameron 2018 is not about such. With 8 KiB the caller's own thread (mutex) reaches 200 % of what worker lanes do unchained.",
    );
  });

  it('the table', () => {
    const results = cellsOf(measurements);
    const comparisons = compare(measurements);
    const omitted = [{ driver: driver.name, arm: 'socket', reason: 'no reason' }];
    const part = { driver, results, comparisons, omitted, conclusion: 'so be it.' };
    expect(formatDriver(part)).to.equal(golden);
    const serialised = cellsOf(
      measurements.map((one) => ({ ...one, outcome: { ...one.outcome, asynchronous: 0 } })),
      { ...head, serialised: true },
    );
    const text = formatDriver({ ...part, results: serialised });
    expect(text).to.contain('virtio_crypto_aes_cbc (kernel; serialised by the kernel: no AIO)');
    expect(text).not.to.match(/asynchronous|100 %/);
  });

  it('an arm that failed has no speed', () => {
    const failed = [
      ...measurements.slice(0, 1),
      measurement('mutex-aio', 2, { wrong: 40, failed: 40, error: 'ENOSPC' }),
    ];
    const part = { driver, results: cellsOf(failed), comparisons: [], omitted: [], conclusion: '' };
    expect(formatDriver(part))
      .to.match(/mutex-aio +failed/)
      .and.match(/40 FAILED: ENOSPC/);
    const [, cell] = cellsOf(failed);
    expect(cell).to.include({
      throughput: null,
      throughputSpread: null,
      percentOfUnchained: null,
      percentSpread: null,
    });
    expect(cell!.latency).to.deep.equal({ p50: null, p95: null, p99: null });
    expect(judge(failed, [['mutex-aio', 'unchained']])).to.deep.equal([]);
    // Against a base that failed there are no per cent either.
    const base = [measurement('unchained', 1, { failed: 1 }), measurements[1]!];
    expect(cellsOf(base)[1]!.percentOfUnchained).to.equal(null);
    const group = groupOf('a group', failed, 8192, [['mutex-aio', 'unchained']]);
    expect(group.comparisons).to.deep.equal([]);
    const [, , row] = groupRows(group);
    expect(row!.slice(0, 5)).to.deep.equal(['mutex-aio', '', '', '4', '']);
    expect(row!.at(-1)).to.equal('40 FAILED: ENOSPC');
  });

  it('percentiles are told of enough requests only: p95 of 20, p99 of 100', () => {
    const latency = (requests: number) =>
      armResult({ ...measurements[0]!, requests, latencies: new Float64Array(requests).fill(1) }, 512).latency;
    expect(latency(19)).to.deep.equal({ p50: 1000, p95: null, p99: null });
    expect(latency(20)).to.deep.equal({ p50: 1000, p95: 1000, p99: null });
    expect(latency(99)).to.deep.equal({ p50: 1000, p95: 1000, p99: null });
    expect(latency(100)).to.deep.equal({ p50: 1000, p95: 1000, p99: 1000 });
  });
});

const golden = `
virtio_crypto_aes_cbc (kernel; asynchronous AIO)

  % of unchained     8 KiB  Cameron 2018, 8 KiB
  unchained        100                            independent, each its own IV, 16 in flight
  mutex-aio        50 ±0                     30   AIO; the next is built when the one before has completed
  staged-8         80 ±0                     50   the data of the next 8 requests is in their sockets
  hazard          100 ±0                          the next IV set while the socket is busy: what goes wrong

              size  MiB/s  depth  p50 us  p95 us  p99 us  CPU s  switches  async     outputs
  unchained  8 KiB   5.73      4     250     250           0.50        10  100 %       40 ok
  mutex-aio  8 KiB   2.86      4     500     500           0.50        10  100 %       40 ok
  staged-8   8 KiB   4.58      4     313     313           0.50        10  100 %       40 ok
  hazard     8 KiB   5.73      4     250     250           0.50        10  100 %  25 % WRONG

  speed against                          8 KiB
  staged-8 : mutex-aio  x 1.60 differs
  left out: socket on virtio_crypto_aes_cbc: no reason

  virtio_crypto_aes_cbc: so be it.
`;

describe('conclude', () => {
  const report = (results: Partial<Cell>[]) =>
    ({ experiment: 'iv', environment, results, omitted: [] }) as unknown as Report;
  const right = { arm: 'mutex', outputsOk: true };
  const cases: [string, Report, boolean, number | RegExp][] = [
    ['all right', report([right, { arm: 'hazard', outputsOk: false }]), false, 0],
    ['a wrong output', report([right, { arm: 'staged-8', outputsOk: false, wrongOutputs: 0.5 }]), false, 2],
    ['interrupted', report([right]), true, 130],
    ['nothing measured', report([]), false, /none of the drivers is here/],
  ];
  for (const [name, given, interrupted, expected] of cases)
    it(name, async () => {
      const said: string[] = [];
      const { write } = process.stderr;
      process.stderr.write = ((text: string) => said.push(text)) as never;
      let outcome: unknown;
      try {
        outcome = await conclude(given, interrupted, { json: undefined, quiet: true }).catch(
          (error: Error) => error.message,
        );
      } finally {
        process.stderr.write = write;
      }
      if (expected instanceof RegExp) expect(outcome).to.match(expected);
      else expect(outcome).to.equal(expected);
      expect(said.join('').includes('WRONG OUTPUTS: staged-8')).to.equal(expected === 2);
    });
});

describe('drivers', () => {
  it('a comma inside of parentheses is part of the name', () => {
    expect(splitList('a, essiv(cbc(aes),sha256),cryptd(cbc(aes-generic)),b')).to.deep.equal([
      'a',
      'essiv(cbc(aes),sha256)',
      'cryptd(cbc(aes-generic))',
      'b',
    ]);
  });

  it('wraps names of drivers only, and in the lab only', () => {
    expect(forbiddenWrapper('cryptd(cbc(aes-generic))', 'cbc(aes)', true)).to.equal(undefined);
    expect(forbiddenWrapper('cryptd(cbc(aes-generic))', 'cbc(aes)', false)).to.contain('--in-lab');
    expect(forbiddenWrapper('cryptd(cbc(aes))', 'cbc(aes)', true)).to.contain('whole system');
    expect(forbiddenWrapper('cbc-aes-aesni', 'cbc(aes)', false)).to.equal(undefined);
  });
});
