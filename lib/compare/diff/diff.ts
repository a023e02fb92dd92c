import { hazardArm } from '../iv/arms.js';
import type { ArmResult } from '../measure/arm-result.js';
import { holm, studentP, studentQuantile } from '../measure/statistics.js';
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
  /** How many times as fast the second side was. */
  ratio: number;
  /** The interval of 95 % confidence; null where the noise from run to run is not known. */
  low: number | null;
  high: number | null;
  /** Probability, corrected for the number of arms that both sides have. */
  p: number | null;
  verdict: 'faster' | 'slower' | 'no difference shown' | 'not told';
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
  /** Runs on each side. */
  runs: { before: number; after: number };
  /** The standard deviation of the logarithm of a rate from run to run of one side; null where each side is one run. */
  noise: number | null;
  arms: ArmDiff[];
  /** Arms that have no speed to compare: outputs were wrong, or requests failed. */
  broken: (ArmName & { in: 'before' | 'after' | 'both' })[];
  /** Arms, stacks and memory that one of the runs lacks. */
  only: { what: string; in: 'before' | 'after' }[];
  /** Of mempool: what became of stacks, and what mempools hold. */
  outcomes: Change[];
}

type Run = Report | AllReport;

/**
 * Holds the runs of one side against those of another. What a machine does between two runs is no difference of what was measured, so that
 * verdicts take several runs a side: the noise from run to run is estimated from them, over all arms together.
 */
export function diffRuns(befores: readonly Run[], afters: readonly Run[]): Diff {
  const [before, after] = [befores[0]!, afters[0]!];
  const arms = match(armsOf(before), armsOf(after));
  const outcomes = match(outcomesOf(before), outcomesOf(after));
  return {
    version: 1,
    experiment: 'diff',
    environment: changes(factsOf(before), factsOf(after)),
    runs: { before: befores.length, after: afters.length },
    ...judgeArms(
      arms.both.filter(([first, second]) => !isBroken(first) && !isBroken(second)).map(([{ name }]) => name),
      befores.map(armsOf),
      afters.map(armsOf),
    ),
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

function judgeArms(
  names: readonly ArmName[],
  befores: readonly Map<string, NamedArm>[],
  afters: readonly Map<string, NamedArm>[],
): Pick<Diff, 'arms' | 'noise'> {
  const logsOf = (side: readonly Map<string, NamedArm>[], name: ArmName) =>
    side
      .map((arms) => arms.get(armText(name)))
      .flatMap((arm) => (arm && !isBroken(arm) && arm.result.throughput ? [Math.log(arm.result.throughput)] : []));
  const sides = names.map((name) => ({ name, first: logsOf(befores, name), second: logsOf(afters, name) }));
  const noise = runNoise(sides.flatMap(({ first, second }) => [first, second]));
  const found = sides.map(({ name, first, second }) => {
    const difference = mean(second) - mean(first);
    const error = noise === null ? null : Math.sqrt(noise.variance * (1 / first.length + 1 / second.length));
    const p = error === null || error === 0 ? null : studentP(difference / error, noise!.freedom);
    return { name, difference, error, p, before: Math.exp(mean(first)), after: Math.exp(mean(second)) };
  });
  const corrected = holm(found.map(({ p }) => p ?? 1));
  const arms = found.map(({ name, difference, error, p, before, after }, index): ArmDiff => {
    const reach = error ? studentQuantile(noise!.freedom) * error : null;
    const isShown = p !== null && corrected[index]! < alpha;
    return {
      ...name,
      before,
      after,
      ratio: Math.exp(difference),
      low: reach === null ? null : Math.exp(difference - reach),
      high: reach === null ? null : Math.exp(difference + reach),
      p: p === null ? null : corrected[index]!,
      verdict: p === null ? 'not told' : !isShown ? 'no difference shown' : difference > 0 ? 'faster' : 'slower',
    };
  });
  return { arms, noise: noise === null ? null : Math.sqrt(noise.variance) };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The variance within the sides, pooled over all arms, and its degrees of freedom. */
function runNoise(sides: readonly (readonly number[])[]): { variance: number; freedom: number } | null {
  const freedom = sides.reduce((sum, side) => sum + Math.max(0, side.length - 1), 0);
  if (freedom === 0) return null;
  const squares = sides.reduce((sum, side) => sum + side.reduce((all, value) => all + (value - mean(side)) ** 2, 0), 0);
  return { variance: squares / freedom, freedom };
}

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
