import type { Measurement } from './experiment.js';
import { compareRounds, median, quantile, type Spread, spread } from './statistics.js';
import type { Usage } from './usage.js';

/** What came of an arm, in the same words for each experiment. report.schema.json says the same for other programs. */
export interface ArmResult {
  arm: string;
  /** Of a request. */
  bytes: number;
  /** Requests of one repetition. */
  requests: number;
  repetitions: number;
  /** Of each repetition; what stands at the same place for another arm was run in the same round. */
  seconds: number[];
  /** Bytes a second. Null where requests failed: such an arm has no speed. */
  throughput: number | null;
  throughputSpread: Spread | null;
  /** Microseconds from submission to completion, so time in the arm's own queue counts. Null where requests failed, or are too few to tell. */
  latency: { p50: number | null; p95: number | null; p99: number | null };
  /** Requests in flight at most: what the latencies were taken at. */
  depth: number;
  /** Of this process, all repetitions together; the time of the kernel's own threads is not in it. */
  usage: Usage;
  /** How many outputs were compared with the independent implementation's: all, or where another program made them, what it left behind. */
  outputsChecked: number;
  /** The share of them, 0 to 1, that was wrong. */
  wrongOutputs: number;
  outputsOk: boolean;
  /** Requests that ended with an error, and the first error. */
  failed: number;
  error?: string;
  /** The share of the requests, 0 to 1, that completed after their submission had returned. */
  asynchronousShare: number;
}

/** A percentile is told of no fewer requests than this: of 20 the last is the 95th of 100, of 100 the 99th. */
const leastRequests = { p50: 1, p95: 20, p99: 100 };

/** Whether an arm's requests all succeeded, so that its rate is one. Of an arm that is there to fail it is so all the same. */
export const hasSpeed = ({ failed }: { failed: number }): boolean => failed === 0;

export function armResult(one: Measurement, bytes: number, mayFail = false): ArmResult {
  const repetitions = one.seconds.length;
  const checked = one.checked ?? one.requests;
  const requests = one.requests / repetitions;
  const rates = one.seconds.map((seconds) => (requests * bytes) / seconds);
  const { outcome, latencies } = one;
  const isMeasured = mayFail || hasSpeed(outcome);
  const percentile = (name: keyof typeof leastRequests, q: number) =>
    isMeasured && latencies.length >= leastRequests[name] ? quantile(latencies, q) * 1000 : null;
  return {
    arm: one.arm,
    depth: one.depth,
    bytes,
    requests,
    repetitions,
    seconds: one.seconds,
    throughput: isMeasured ? median(rates) : null,
    throughputSpread: isMeasured ? spread(rates) : null,
    latency: { p50: percentile('p50', 0.5), p95: percentile('p95', 0.95), p99: percentile('p99', 0.99) },
    usage: one.usage,
    outputsChecked: checked,
    wrongOutputs: outcome.wrong / checked,
    outputsOk: outcome.wrong === 0,
    failed: outcome.failed,
    ...(outcome.error !== undefined && { error: outcome.error }),
    asynchronousShare: outcome.asynchronous / one.requests,
  };
}

/** An arm's rate in per cent of another's in the same round, as its verdict estimates it; and the middle half of the rounds. */
export function percentOf(one: Measurement, base: Measurement): { percent: number; spread: Spread } {
  const percents = one.seconds.map((seconds, round) => (100 * base.seconds[round]!) / seconds);
  return { percent: 100 * compareRounds(base.seconds, one.seconds).ratio, spread: spread(percents) };
}
