import type { Measurement } from './experiment.js';
import { compareSamples, holm, median } from './statistics.js';

/** Whether two arms of a group differ. */
export interface Verdict {
  arm: string;
  against: string;
  /** How many times as fast `arm` is, and the interval of 95 % confidence. */
  ratio: number;
  low: number;
  high: number;
  /** Probability, corrected for the number of pairs of this group. */
  p: number;
  verdict: 'differs' | 'does not differ';
}

/** Below this probability two arms are said to differ. */
export const alpha = 0.05;

/** How arms are measured and tested. */
export interface Method {
  order: string;
  test: string;
  alpha: number;
  warmUps: number;
  quick: boolean;
}

export const method = {
  order: 'rounds of all arms, forwards and backwards in turn',
  test: "Wilcoxon's and Mann and Whitney's rank-sum test on the times in proportion to the median of the round, two-sided; Holm's correction over the pairs that are compared in a group",
  alpha,
};

/** Who is held against whom: [arm, against]. */
export type Pairs = readonly (readonly [string, string])[];

/** The verdicts for the pairs whose arms are both there. */
export function judge(measurements: readonly Pick<Measurement, 'arm' | 'seconds'>[], pairs: Pairs): Verdict[] {
  // Relative to the round, so that a machine which gets slower meanwhile does not look like an arm that varies.
  const rounds = measurements[0]?.seconds.map((_, round) => median(measurements.map((each) => each.seconds[round]!)));
  const times = new Map(
    measurements.map(({ arm, seconds }) => [arm, seconds.map((time, round) => time / rounds![round]!)]),
  );
  const found = pairs.flatMap(([arm, against]) => {
    const first = times.get(arm);
    const second = times.get(against);
    // The rate is the inverse of the time.
    return first && second ? [{ arm, against, ...compareSamples(second, first) }] : [];
  });
  const corrected = holm(found.map(({ p }) => p));
  return found.map((each, index) => {
    const p = corrected[index]!;
    return { ...each, p, verdict: p < alpha ? 'differs' : 'does not differ' };
  });
}
