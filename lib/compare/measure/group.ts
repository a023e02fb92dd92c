import { stoppedBefore } from '../watch.js';
import { type ArmResult, armResult, hasSpeed, percentOf } from './arm-result.js';
import type { Environment } from './environment.js';
import { type Measurement, measure, type Plan, type Trial } from './experiment.js';
import { median, roundsToShow, type Spread } from './statistics.js';
import { alpha, judge, type Method, type Pairs, type Verdict } from './verdict.js';

/** An arm among those that did the same work. */
export interface GroupResult extends ArmResult {
  /** Its rate in per cent of the group's base in the same round, and the middle half of the rounds. Null where one of the two failed. */
  percentOfBase: number | null;
  percentSpread: Spread | null;
  /** What the experiment measures besides, under names that have the unit in them; medians of the repetitions. */
  figures: Record<string, number>;
}

/** Arms that did the same work, in turn. */
export interface Group {
  /** What work: 'read, depth 32, aes-xts-plain64'. */
  name: string;
  /** The arm that is 100 %. */
  base: string;
  results: GroupResult[];
  comparisons: Verdict[];
}

/** Something of an experiment that was not measured, and why. */
export interface LeftOut {
  /** Undefined: all groups, or all arms. */
  group?: string;
  arm?: string;
  reason: string;
}

/** A figure of a document, beside which those of the arms named stand. */
export interface PublishedFigure {
  /** What it is of, in the document's words. */
  what: string;
  value: number;
  unit: string;
  /** Where the arms are that are its like here. */
  group?: string;
  arm?: string;
  source: string;
}

/** Of the experiments whose groups of arms do some work: units, verity, workqueue. */
export interface GroupsReport {
  version: 1;
  experiment: 'workqueue' | 'units' | 'verity';
  environment: Environment;
  method: Method;
  groups: Group[];
  omitted: LeftOut[];
  published: PublishedFigure[];
  /** The first says in a sentence what the measurement says about the document's claim on this machine. */
  conclusions: string[];
}

/** Measures the arms of a group, of which the first is the base. Undefined where no round was complete. */
export async function measureGroup(
  name: string,
  trials: readonly Trial[],
  pairs: Pairs,
  plan: Plan,
): Promise<Group | undefined> {
  const measurements = await measure([...trials], plan);
  return measurements.length > 0 ? groupOf(name, measurements, trials[0]!.bytes, pairs) : undefined;
}

/** Whether a difference between its arms could be shown, if there is one. */
export const hasEnoughRounds = ({ results, comparisons }: Group): boolean =>
  results.every((each) => each.repetitions >= roundsToShow(comparisons.length, alpha));

/** Says of which groups nothing can be said. */
export function concludeRounds(groups: readonly Group[]): string[] {
  const judged = groups.filter(({ comparisons }) => comparisons.length > 0);
  const short = judged.filter((group) => !hasEnoughRounds(group)).map(({ name }) => `'${name}'`);
  if (short.length === 0) return [];
  const which = short.length === judged.length ? 'all of them' : short.join(', ');
  return [
    `${short.length} of ${judged.length} groups have too few rounds for their number of pairs, so that no difference can be shown there: ${which}.`,
  ];
}

/**
 * How many comparisons there are in all groups, and what came of each pair over all of them: of loads, sizes and depths that were
 * measured, not of one.
 */
export function concludeAgreement(groups: readonly Pick<Group, 'name' | 'comparisons'>[]): string[] {
  const all = groups.flatMap(({ name, comparisons }) => comparisons.map((verdict) => ({ name, ...verdict })));
  if (all.length === 0) return [];
  const pairs = [...new Set(all.map(({ arm, against }) => `${arm} against ${against}`))];
  const said = pairs.map((pair) => {
    const those = all.filter(({ arm, against }) => `${arm} against ${against}` === pair);
    const of = (isThis: (verdict: Verdict) => boolean) => those.filter(isThis);
    const faster = of(({ verdict, ratio }) => verdict === 'differs' && ratio > 1);
    const slower = of(({ verdict, ratio }) => verdict === 'differs' && ratio < 1);
    const counts = [
      [faster.length, 'faster'],
      [slower.length, 'slower'],
      [those.length - faster.length - slower.length, 'not shown to differ'],
    ] as const;
    const which =
      faster.length > 0 && slower.length > 0 ? ` (slower in: ${slower.map(({ name }) => name).join('; ')})` : '';
    return `${pair}: ${counts
      .filter(([count]) => count > 0)
      .map(([count, what]) => `${count} ${what}`)
      .join(', ')}${which}`;
  });
  const differ = all.filter(({ verdict }) => verdict === 'differs').length;
  return [
    `${all.length} comparisons in ${groups.length} groups stand behind this, ${differ} of them differ: ${said.join('; ')}.`,
  ];
}

/** The groups of a plan, by their names, that were not measured when it was stopped. */
export function groupsLeftOut(planned: readonly string[], measured: readonly Group[]): LeftOut[] {
  return planned
    .filter((group) => measured.every(({ name }) => name !== group))
    .map((group) => ({ group, reason: `${stoppedBefore} it` }));
}

/** Measurements of the arms of a group, of which the first is the base, with requests of so many bytes. */
export function groupOf(name: string, measurements: readonly Measurement[], bytes: number, pairs: Pairs): Group {
  const base = measurements[0]!;
  const results = measurements.map((one) => {
    const { percent, spread } = percentOf(one, base);
    const figures = Object.fromEntries(Object.entries(one.figures).map(([key, values]) => [key, median(values)]));
    const isMeasured = hasSpeed(one.outcome) && hasSpeed(base.outcome);
    const rate = { percentOfBase: isMeasured ? percent : null, percentSpread: isMeasured ? spread : null };
    return { ...armResult(one, bytes), ...rate, figures };
  });
  return { name, base: base.arm, results, comparisons: judge(measurements, pairs) };
}
