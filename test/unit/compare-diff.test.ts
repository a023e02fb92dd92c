import { expect } from 'chai';
import { diffReports } from '../../lib/compare/diff/diff.js';
import { formatDiff } from '../../lib/compare/diff/table.js';
import type { GroupsReport } from '../../lib/compare/measure/group.js';
import { allReport, group, ivReport, measurement, mempoolReport, workqueueReport } from '../support/reports.js';

/** One group with these arms; all of them so many times as fast as written. */
function report(rates: Record<string, number>, times = 1): GroupsReport {
  const arms = Object.entries(rates).map(([arm, rate]) => measurement(arm, rate * times));
  return { ...workqueueReport(), groups: [group('read', arms)] };
}

const verdicts = ({ arms }: ReturnType<typeof diffReports>) => [...new Set(arms.map(({ verdict }) => verdict))];

describe('compare diff', () => {
  it('the same run twice: no difference shown', () => {
    for (const run of [ivReport(), workqueueReport(), mempoolReport(), allReport()]) {
      const diff = diffReports(run, structuredClone(run));
      expect(diff).to.deep.include({ environment: [], broken: [], only: [], outcomes: [] });
      expect(verdicts(diff)).to.deep.equal(run.experiment === 'mempool' ? [] : ['no difference shown']);
      for (const { ratio, p } of diff.arms) expect([ratio, p]).to.deep.equal([1, 1]);
      expect(formatDiff(diff)).to.match(/^The same machine and method/);
    }
  });

  it('a run half as fast is slower, and the other way round faster', () => {
    const [whole, half] = [report({ a: 20, b: 10 }), report({ a: 20, b: 10 }, 0.5)];
    const diff = diffReports(whole, half);
    expect(verdicts(diff)).to.deep.equal(['slower']);
    const [{ ratio, low, high, before, after, p }] = diff.arms as [(typeof diff.arms)[0]];
    expect(ratio).to.be.closeTo(0.5, 1e-9);
    expect(low).to.be.below(0.5);
    expect(high).to.be.above(0.5).and.below(0.6);
    expect(after / before).to.be.closeTo(0.5, 1e-9);
    expect(p).to.be.above(0).and.below(0.05);
    expect(verdicts(diffReports(half, whole))).to.deep.equal(['faster']);
    expect(formatDiff(diff))
      .to.match(/^ {2}a +\S+ +\S+ +0\.50 +0\.4\d to 0\.5\d +slower$/m)
      .and.contain('of 2 arms in both runs 0 were faster, 2 slower; of 0 no difference is shown.');
  });

  it('more arms looked at together need more to differ', () => {
    const names = Array.from({ length: 20 }, (_, index) => `arm ${index}`);
    // Below any doubt alone, with six rounds each: p is 2 / 924.
    const short = (times: number) => {
      const run = report(Object.fromEntries(names.map((name) => [name, name === 'arm 0' ? 10 * times : 10])));
      for (const result of run.groups[0]!.results) result.seconds = result.seconds.slice(0, 6);
      return run;
    };
    const [first] = diffReports(short(1), short(2)).arms;
    expect(first!.p).to.be.closeTo((20 * 2) / 924, 1e-12);
    expect(first!.verdict).to.equal('faster');
    const two = (run: GroupsReport) => ({ ...run, groups: [...run.groups, { ...run.groups[0]!, name: 'write' }] });
    expect(diffReports(two(short(1)), two(short(2))).arms[0]!.verdict).to.equal('no difference shown');
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
