import type { Omission } from './drivers.js';
import type { Environment } from './environment.js';
import type { Measurement } from './experiment.js';
import { compareSamples, holm, median, quantile, type Spread, spread } from './statistics.js';
import type { Usage } from './usage.js';

/** An arm on a driver with requests of one size. report.schema.json says the same for other programs. */
export interface Cell {
  arm: string;
  driver: string;
  /** Of a request. */
  bytes: number;
  engine: 'sync' | 'lanes' | 'aio';
  /** Requests of one repetition. */
  requests: number;
  repetitions: number;
  /** Of each repetition; what stands at the same place for another arm was run in the same round. */
  seconds: number[];
  /** Median over the rounds of this arm's rate against the unchained arm's in the same round; and the middle half of them. */
  percentOfUnchained: number;
  percentSpread: Spread;
  /** Bytes a second. */
  throughput: number;
  throughputSpread: Spread;
  /** Microseconds from submission to completion, so time in the arm's own queue counts. */
  latency: { p50: number; p95: number; p99: number };
  /** Of this process, all repetitions together; the time of the kernel's own threads is not in it. */
  usage: Usage;
  /** How many outputs were compared with the independent implementation's: all of them. */
  outputsChecked: number;
  /** The share of them, 0 to 1, that was wrong. */
  wrongOutputs: number;
  outputsOk: boolean;
  /** Requests that ended with an error, and the first error. */
  failed: number;
  error?: string;
  /** Whether requests completed after their submission had returned, and the share that did. */
  asynchronous: boolean;
  asynchronousShare: number;
  /** AIO on a driver that would queue, and the kernel completed every request inside io_submit. */
  serialisedByKernel: boolean;
}

/** Whether two arms of the same driver and size differ. */
export interface Comparison {
  driver: string;
  bytes: number;
  arm: string;
  against: string;
  /** How many times as fast `arm` is, and the interval of 95 % confidence. */
  ratio: number;
  low: number;
  high: number;
  /** Probability, corrected for the number of pairs of this driver and size. */
  p: number;
  verdict: 'differs' | 'does not differ';
}

/** A figure from elsewhere to hold against this one. */
export interface Published {
  arms: string[];
  bytes: number;
  percent: number;
  source: string;
}

export interface Report {
  version: 1;
  experiment: string;
  environment: Environment;
  /** How it was measured and tested. */
  method: { order: string; test: string; alpha: number; warmUps: number; quick: boolean };
  results: Cell[];
  comparisons: Comparison[];
  /** What is not there, and why. */
  omitted: Omission[];
  published: Published[];
  /** A sentence for each driver. */
  conclusions: { driver: string; text: string }[];
}

/** Below this probability two arms are said to differ. */
export const alpha = 0.05;

export const method = {
  order: 'rounds of all arms, forwards and backwards in turn',
  test: "Wilcoxon's and Mann and Whitney's rank-sum test on the times in proportion to the median of the round, two-sided; Holm's correction over the pairs of a driver and size",
  alpha,
};

/** What is said of a cell that its measurement does not hold. */
export type CellHead = Pick<Cell, 'driver' | 'bytes' | 'engine'> & {
  /** AIO on a driver that would queue, of a kernel that was seen to complete inside io_submit. */
  serialised: boolean;
};

export function makeCell(head: CellHead, one: Measurement, unchained: Measurement): Cell {
  const { driver, bytes, engine, serialised } = head;
  const repetitions = one.seconds.length;
  const requests = one.requests / repetitions;
  const percents = one.seconds.map((seconds, round) => (100 * unchained.seconds[round]!) / seconds);
  const rates = one.seconds.map((seconds) => (requests * bytes) / seconds);
  const { outcome, latencies } = one;
  const asynchronous = outcome.asynchronous > 0;
  const microseconds = (q: number) => quantile(latencies, q) * 1000;
  return {
    arm: one.arm,
    driver,
    bytes,
    engine,
    requests,
    repetitions,
    seconds: one.seconds,
    percentOfUnchained: median(percents),
    percentSpread: spread(percents),
    throughput: median(rates),
    throughputSpread: spread(rates),
    latency: { p50: microseconds(0.5), p95: microseconds(0.95), p99: microseconds(0.99) },
    usage: one.usage,
    outputsChecked: one.requests,
    wrongOutputs: outcome.wrong / one.requests,
    outputsOk: outcome.wrong === 0,
    failed: outcome.failed,
    ...(outcome.error !== undefined && { error: outcome.error }),
    asynchronous,
    asynchronousShare: outcome.asynchronous / one.requests,
    serialisedByKernel: serialised && !asynchronous,
  };
}

/** The verdicts for the pairs whose arms are both there. */
export function compareArms(
  head: CellHead,
  measurements: Measurement[],
  pairs: readonly (readonly [string, string])[],
): Comparison[] {
  const { driver, bytes } = head;
  // Relative to the round, so that a machine which gets slower meanwhile does not look like an arm that varies.
  const rounds = measurements[0]?.seconds.map((_, round) => median(measurements.map((each) => each.seconds[round]!)));
  const relative = (each: Measurement) => each.seconds.map((seconds, round) => seconds / rounds![round]!);
  const times = new Map(measurements.map((each) => [each.arm, relative(each)]));
  const found = pairs.flatMap(([arm, against]) => {
    const first = times.get(arm);
    const second = times.get(against);
    // The rate is the inverse of the time.
    return first && second ? [{ arm, against, ...compareSamples(second, first) }] : [];
  });
  const corrected = holm(found.map(({ p }) => p));
  return found.map(({ arm, against, ratio, low, high }, index) => {
    const p = corrected[index]!;
    return { driver, bytes, arm, against, ratio, low, high, p, verdict: p < alpha ? 'differs' : 'does not differ' };
  });
}
