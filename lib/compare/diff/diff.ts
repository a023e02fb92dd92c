import { hazardArm } from '../iv/arms.js';
import type { ArmResult } from '../measure/arm-result.js';
import { compareSamples, holm } from '../measure/statistics.js';
import { alpha } from '../measure/verdict.js';
import type { MemoryResult, MempoolReport, StackResult } from '../mempool/mempool.js';
import { stackText } from '../mempool/table.js';
import { type AllReport, type Report, reportsOf } from '../report.js';
import { environmentFacts } from '../text/environment-table.js';
import { methodFacts } from '../text/method-facts.js';
import { formatMemory, formatSize } from '../text/table.js';

type Experiment = Report['experiment'];

/** An arm in a report: the same in another one has the same three names. */
export interface ArmName {
  experiment: Experiment;
  /** Of iv the driver and the size. */
  group: string;
  arm: string;
}

/** An arm of both runs. */
export interface ArmDiff extends ArmName {
  /** Bytes a second. */
  before: number;
  after: number;
  /** How many times as fast the second run was, and the interval of 95 % confidence. */
  ratio: number;
  low: number;
  high: number;
  /** Probability, corrected for the number of arms that both runs have. */
  p: number;
  verdict: 'faster' | 'slower' | 'no difference shown';
}

/** Something that both runs have, and that is not the same. Where one lacks it, it is undefined there. */
export interface Change {
  what: string;
  before: string | undefined;
  after: string | undefined;
}

/** Two runs side by side. */
export interface Diff {
  version: 1;
  experiment: 'diff';
  /** Machine and method. The runs are compared all the same. */
  environment: Change[];
  arms: ArmDiff[];
  /** Arms that have no speed to compare: outputs were wrong, or requests failed. */
  broken: (ArmName & { in: 'before' | 'after' | 'both' })[];
  /** Arms, stacks and memory that one of the runs lacks. */
  only: { what: string; in: 'before' | 'after' }[];
  /** Of mempool: what became of stacks, and what mempools hold. */
  outcomes: Change[];
}

type Run = Report | AllReport;

/** Holds the second run against the first. */
export function diffReports(before: Run, after: Run): Diff {
  const arms = match(armsOf(before), armsOf(after));
  const outcomes = match(outcomesOf(before), outcomesOf(after));
  return {
    version: 1,
    experiment: 'diff',
    environment: changes(factsOf(before), factsOf(after)),
    arms: judgeArms(arms.both.filter(([first, second]) => !isBroken(first) && !isBroken(second))),
    broken: arms.both.flatMap(([first, second]) => {
      const [here, there] = [isBroken(first), isBroken(second)];
      return here || there ? [{ ...first.name, in: here && there ? 'both' : here ? 'before' : 'after' }] : [];
    }),
    only: [...arms.only, ...outcomes.only],
    outcomes: changes(outcomesOf(before), outcomesOf(after)).filter(
      (change) => change.before !== undefined && change.after !== undefined,
    ),
  };
}

interface NamedArm {
  name: ArmName;
  result: ArmResult;
}

/** 'staged-8 of iv, library, 8 KiB'. */
export const armText = ({ experiment, group, arm }: ArmName) => `${arm} of ${experiment}, ${group}`;

function armsOf(run: Run): Map<string, NamedArm> {
  const arms = reportsOf(run).flatMap((report): NamedArm[] => {
    const { experiment } = report;
    switch (experiment) {
      case 'mempool':
        return [];
      case 'iv':
        return report.results.map((result) => {
          const group = `${result.driver}, ${formatSize(result.bytes)}`;
          return { name: { experiment, group, arm: result.arm }, result };
        });
      default:
        return report.groups.flatMap(({ name: group, results }) =>
          results.map((result) => ({ name: { experiment, group, arm: result.arm }, result })),
        );
    }
  });
  return new Map(arms.map((arm) => [armText(arm.name), arm]));
}

/** A failed request takes no time, and a wrong output may be one that took none. */
function isBroken({ name, result }: NamedArm): boolean {
  return result.failed > 0 || (!result.outputsOk && name.arm !== hazardArm);
}

function judgeArms(arms: [NamedArm, NamedArm][]): ArmDiff[] {
  const found = arms.map(([{ name, result: first }, { result: second }]) => ({
    ...name,
    // Broken arms are none of these.
    before: first.throughput!,
    after: second.throughput!,
    ...compareSamples(ratesOf(second), ratesOf(first)),
  }));
  const corrected = holm(found.map(({ p }) => p));
  return found.map((each, index) => {
    const p = corrected[index]!;
    return { ...each, p, verdict: p >= alpha ? 'no difference shown' : each.ratio > 1 ? 'faster' : 'slower' };
  });
}

/** Bytes a second of each repetition. */
const ratesOf = ({ seconds, requests, bytes }: ArmResult) => seconds.map((time) => (requests * bytes) / time);

/** What a run found out that is no speed: what became of stacks, and what mempools hold. */
function outcomesOf(run: Run): Map<string, string> {
  const reports = reportsOf(run).filter((report): report is MempoolReport => report.experiment === 'mempool');
  const name = ({ pools, reserve }: StackResult | MemoryResult) => `mempools ${pools}, reserve ${reserve}`;
  return new Map(
    reports.flatMap(({ stacks, memory }) => [
      ...stacks.map((each): [string, string] => [
        `mempool: ${stackText(each)} on each other, ${each.inFlight} in flight, ${name(each)}`,
        `${each.deadlock.length > 0 ? 'DEADLOCK' : 'all bios ended'}${each.outputsOk ? '' : ', bytes WRONG'}`,
      ]),
      ...memory.map((each): [string, string] => [
        `mempool: ${each.devices} devices, ${name(each)}`,
        `${formatMemory(each.bytes)} held`,
      ]),
    ]),
  );
}

/** The machine, and how each experiment was done. */
function factsOf(run: Run): Map<string, string> {
  return new Map([
    ...reportsOf(run).flatMap(({ environment }) => environmentFacts(environment)),
    ...environmentFacts(run.environment),
    ...reportsOf(run).flatMap((report) =>
      methodFacts(report).map(([what, how]): [string, string] => [`${what} of ${report.experiment}`, how]),
    ),
  ]);
}

function match<T>(before: Map<string, T>, after: Map<string, T>): { both: [T, T][]; only: Diff['only'] } {
  return {
    both: [...before].flatMap(([what, one]): [T, T][] => {
      const other = after.get(what);
      return other === undefined ? [] : [[one, other]];
    }),
    only: [
      ...[...before.keys()].filter((what) => !after.has(what)).map((what) => ({ what, in: 'before' as const })),
      ...[...after.keys()].filter((what) => !before.has(what)).map((what) => ({ what, in: 'after' as const })),
    ],
  };
}

function changes(before: Map<string, string>, after: Map<string, string>): Change[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((what) => ({ what, before: before.get(what), after: after.get(what) }))
    .filter((change) => change.before !== change.after);
}
