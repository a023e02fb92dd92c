import type { Measurement } from './experiment.js';
import { compareRounds, holm } from './statistics.js';

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
  test: "Wilcoxon's signed-rank test on the logarithms of the ratios within a round, exact and two-sided; Holm's correction over the pairs that are compared in a group; intervals and ratios by Hodges and Lehmann, of each pair alone",
  alpha,
};

/** Who is held against whom: [arm, against]. */
export type Pairs = readonly (readonly [string, string])[];

/** The verdicts for the pairs whose arms are both there, and did not fail. */
export function judge(
  measurements: readonly (Pick<Measurement, 'arm' | 'seconds'> & Partial<Pick<Measurement, 'outcome'>>)[],
  pairs: Pairs,
): Verdict[] {
  const measured = measurements.filter(({ outcome }) => !outcome || outcome.failed === 0);
  const times = new Map(measured.map(({ arm, seconds }) => [arm, seconds]));
  const found = pairs.flatMap(([arm, against]) => {
    const first = times.get(arm);
    const second = times.get(against);
    // The rate is the inverse of the time.
    return first && second ? [{ arm, against, ...compareRounds(second, first) }] : [];
  });
  const corrected = holm(found.map(({ p }) => p));
  return found.map((each, index) => {
    const p = corrected[index]!;
    return { ...each, p, verdict: p < alpha ? 'differs' : 'does not differ' };
  });
}
