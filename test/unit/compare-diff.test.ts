import { expect } from 'chai';
import { diffRuns } from '../../lib/compare/diff/diff.js';
import { formatDiff } from '../../lib/compare/diff/table.js';
import type { GroupsReport } from '../../lib/compare/measure/group.js';
import { seeded } from '../support/manual-engine.js';
import { allReport, group, ivReport, measurement, mempoolReport, workqueueReport } from '../support/reports.js';

/** One group with these arms; all of them so many times as fast as written. */
function report(rates: Record<string, number>, times = 1): GroupsReport {
  const arms = Object.entries(rates).map(([arm, rate]) => measurement(arm, rate * times));
  return { ...workqueueReport(), groups: [group('read', arms)] };
}

const verdicts = ({ arms }: ReturnType<typeof diffRuns>) => [...new Set(arms.map(({ verdict }) => verdict))];
const diffReports = (before: Run, after: Run) => diffRuns([before], [after]);
type Run = Parameters<typeof diffRuns>[0][number];

/** So many runs of these arms on a machine whose rates change by about `noise` from run to run. */
function runs(count: number, rates: Record<string, number>, noise: number, random: () => number): GroupsReport[] {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Array.from({ length: count }, () =>
    report(Object.fromEntries(Object.entries(rates).map(([arm, rate]) => [arm, rate * Math.exp(noise * normal())]))),
  );
}

describe('compare diff', function () {
  this.timeout(60_000);
  it('one run a side: ratios, and no verdict, as nobody knows what changes from run to run', () => {
    for (const run of [ivReport(), workqueueReport(), mempoolReport(), allReport()]) {
      const diff = diffReports(run, structuredClone(run));
      expect(diff).to.deep.include({ environment: [], broken: [], only: [], outcomes: [], noise: null });
      expect(verdicts(diff)).to.deep.equal(run.experiment === 'mempool' ? [] : ['not told']);
      for (const { ratio, p, low, high } of diff.arms)
        expect([ratio, p, low, high]).to.deep.equal([1, null, null, null]);
      expect(formatDiff(diff))
        .to.match(/^The same machine and method/)
        .and.contain('One run a side');
    }
    const [half] = diffReports(report({ a: 20 }), report({ a: 20 }, 0.5)).arms;
    expect(half!.ratio).to.be.closeTo(0.5, 1e-9);
  });

  const names = Array.from({ length: 20 }, (_, index) => `arm ${index}`);
  const rates = (times = 1) => Object.fromEntries(names.map((name) => [name, name === 'arm 0' ? 10 * times : 10]));

  it('several runs a side: equal builds are said to differ in 5 % of all comparisons at most', () => {
    const random = seeded(28);
    let wrong = 0;
    for (let time = 0; time < 300; time++) {
      const diff = diffRuns(runs(3, rates(), 0.05, random), runs(3, rates(), 0.05, random));
      if (diff.arms.some(({ verdict }) => verdict !== 'no difference shown')) wrong++;
      expect(diff.noise).to.be.within(0.02, 0.09);
    }
    expect(wrong / 300).to.be.at.most(0.05 + 3 * Math.sqrt((0.05 * 0.95) / 300));
  });

  it('several runs a side: an arm that is 1.3 times as fast is found, with an interval', () => {
    const random = seeded(29);
    let found = 0;
    for (let time = 0; time < 50; time++) {
      const diff = diffRuns(runs(3, rates(), 0.05, random), runs(3, rates(1.3), 0.05, random));
      const { verdict, ratio, low, high } = diff.arms[0]!;
      if (verdict === 'faster') found++;
      expect(low).to.be.below(ratio);
      expect(high).to.be.above(ratio);
    }
    expect(found).to.be.at.least(45);
    const slower = diffRuns(runs(3, rates(2), 0.05, random), runs(3, rates(1), 0.05, random));
    expect(formatDiff(slower))
      .to.match(/^ {2}arm 0 +\S+ +\S+ +0\.\d\d +0\.\d\d to 0\.\d\d +slower$/m)
      .and.match(/3 and 3 runs: from run to run of one side a rate changes by \d\.\d %/)
      .and.match(/of 20 arms on both sides 0 were faster, 1 slower; of 19 no difference is shown\./);
  });

  it('runs that are the same to the last digit have no noise, and no verdict', () => {
    const same = report({ a: 20 });
    const diff = diffRuns([same, same], [report({ a: 20 }, 2), report({ a: 20 }, 2)]);
    expect(diff.arms[0]).to.include({ verdict: 'not told', low: null, high: null });
  });

  it('arms that only one has are named', () => {
    const diff = diffReports(report({ a: 20, b: 10 }), report({ a: 20, c: 10 }));
    expect(diff.only).to.deep.equal([
      { what: 'b of workqueue, read', in: 'before' },
      { what: 'c of workqueue, read', in: 'after' },
    ]);
    expect(diff.arms.map(({ arm }) => arm)).to.deep.equal(['a']);
    expect(formatDiff(diff)).to.contain('only before: b of workqueue, read\nonly after: c of workqueue, read\n');
    const strangers = formatDiff(diffReports(ivReport(), report({ a: 1 })));
    expect(strangers).to.contain('no arm with a speed is in both runs').and.contain('only after: a of workqueue, read');
  });

  it('different machines and methods are said first', () => {
    const [before, after] = [report({ a: 20 }), report({ a: 20 })];
    const { lab: _, ...host } = after.environment;
    after.environment = { ...host, cpu: { ...host.cpu, count: 8 }, load: 7.5, drivers: [] };
    after.method = { ...after.method, quick: true };
    const diff = diffReports(before, after);
    expect(diff.environment.map(({ what }) => what)).to.have.members([
      'processor',
      'lab',
      'load',
      'driver cryptd(cbc(aes-generic))',
      'scope of workqueue',
    ]);
    expect(diff.environment.find(({ what }) => what === 'lab')).to.include({ before: 'aio', after: undefined });
    expect(formatDiff(diff)).to.match(
      /^The machines or the methods differ;.*\n {2}processor\n {4}before: 2 x .*\n {4}after: +8 x /,
    );
    expect(diff.arms).to.have.length(1);
  });

  it('an arm whose requests failed or whose outputs were wrong has no speed; hazard is there to be wrong', () => {
    const [before, after] = [ivReport(), ivReport()];
    Object.assign(before.results[1]!, { failed: 3 });
    Object.assign(after.results[2]!, { outputsOk: false });
    const { broken, arms } = diffReports(before, after);
    expect(broken.map(({ arm, in: where }) => `${arm} ${where}`)).to.deep.equal(['mutex before', 'mutex-aio after']);
    expect(arms).to.have.length(before.results.length - 2);
    expect(arms.filter(({ arm }) => arm === 'hazard')).to.have.length(2);
  });

  it('of mempool, outcomes that changed', () => {
    const [before, after] = [mempoolReport(), mempoolReport()];
    const stack = after.stacks.findIndex(({ deadlock }) => deadlock.length > 0);
    const { target, depth, inFlight, reserve } = after.stacks[stack]!;
    after.stacks[stack]!.deadlock = [];
    after.memory[1]!.bytes *= 2;
    const gone = after.stacks.pop()!;
    const diff = diffReports(before, after);
    expect(diff.outcomes).to.deep.equal([
      {
        what: `mempool: ${depth} ${target} devices on each other, ${inFlight} in flight, mempools shared, reserve ${reserve}`,
        before: 'DEADLOCK',
        after: 'all bios ended',
      },
      { what: 'mempool: 59 devices, mempools shared, reserve 16', before: '148 KiB held', after: '296 KiB held' },
    ]);
    expect(diff.only).to.deep.equal([
      {
        what: `mempool: ${gone.depth} ${gone.target} devices on each other, ${gone.inFlight} in flight, mempools ${gone.pools}, reserve ${gone.reserve}`,
        in: 'before',
      },
    ]);
    expect(formatDiff(diff)).to.contain('2 outcomes changed');
  });

  it('of mempool, a stack of crypt devices is another one than of verity devices', () => {
    const run = mempoolReport();
    const only = (target: string) => ({ ...run, stacks: run.stacks.filter((each) => each.target === target) });
    const { outcomes, only: missing } = diffReports(only('verity'), only('crypt'));
    expect(outcomes).to.deep.equal([]);
    expect(missing).to.have.length(run.stacks.length);
  });
});
