import { performance } from 'node:perf_hooks';
import type { StopSignal } from '../watch.js';
import { addUsage, noUsage, readUsage, type Usage } from './usage.js';

/** What came of one run of a trial. */
export interface Outcome {
  /** Outputs that are not what the independent implementation says, those of failed requests among them. */
  wrong: number;
  /** Requests that ended with an error. */
  failed: number;
  /** Requests that completed after their submission had returned. */
  asynchronous: number;
  /** The first error. */
  error: string | undefined;
}

/** One arm in one cell, ready to be run again and again. */
export interface Trial {
  readonly arm: string;
  /** Requests of one run, and the bytes of each. */
  readonly requests: number;
  readonly bytes: number;
  /** Requests in flight at most. */
  readonly depth: number;
  /** Milliseconds from submission to completion of each request of the last run. */
  readonly latencies: Float64Array;
  /** Makes ready for a run. Not measured. */
  prepare(): void;
  /** What is measured. */
  run(): Promise<void>;
  /** What was measured besides in the last run, under names that have the unit in them. */
  figures?(): Record<string, number>;
  /** Looks at the outputs of the last run. Not measured. */
  check(): Outcome;
}

/** One arm in one cell, after all repetitions. */
export interface Measurement {
  arm: string;
  /** Requests in flight at most. */
  depth: number;
  /** Of all repetitions together. */
  requests: number;
  /** Outputs that were looked at, if not all. */
  checked?: number;
  /** Of each repetition. What stands at the same place in two measurements was run in the same round. */
  seconds: number[];
  /** Milliseconds, sorted. */
  latencies: Float64Array;
  usage: Usage;
  outcome: Outcome;
  /** Of each repetition. */
  figures: Record<string, number[]>;
}

export interface Plan {
  repetitions: number;
  /** No further round begins after so long, once there are as many as the signed-rank test needs; and none after three times as long. */
  seconds?: number;
  /** Rounds in front that do not count: the code is compiled and the caches are filled in them. Fewer where they would take a quarter of the time. */
  warmUps: number;
  /** Stops after the run that is on its way; what counts is then the rounds that were complete. */
  signal?: StopSignal | undefined;
  /** Told of each run. */
  ran?: (trial: Trial) => void;
}

interface Sample {
  seconds: number;
  latencies: Float64Array;
  usage: Usage;
  outcome: Outcome;
  figures: Record<string, number>;
}

/** With fewer rounds the signed-rank test never finds a difference, not even of one pair; see roundsToShow. */
export const leastRounds = 6;

/**
 * Runs the trials in rounds, each once a round, forwards and backwards in turn: whatever changes slowly on the machine
 * then meets all of them alike, and runs of the same round can be compared in pairs.
 */
export async function measure(trials: Trial[], plan: Plan): Promise<Measurement[]> {
  const rounds: Map<Trial, Sample>[] = [];
  const start = performance.now();
  const limit = 1000 * (plan.seconds ?? Number.POSITIVE_INFINITY);
  const isLate = (times: number) => performance.now() - start > limit * times;
  for (let round = -plan.warmUps; round < plan.repetitions; round++) {
    if (round < 0 && isLate(1 / 4)) continue;
    if (rounds.length > 0 && isLate(rounds.length >= leastRounds ? 1 : 3)) break;
    const samples = new Map<Trial, Sample>();
    for (const trial of round % 2 === 0 ? trials : [...trials].reverse()) {
      if (plan.signal?.aborted) return sum(trials, rounds);
      samples.set(trial, await runOnce(trial));
      plan.ran?.(trial);
    }
    if (round >= 0) rounds.push(samples);
  }
  return sum(trials, rounds);
}

async function runOnce(trial: Trial): Promise<Sample> {
  trial.prepare();
  // What the preparation has left to do in the event loop is not the run's.
  await new Promise((resolve) => setImmediate(resolve));
  const before = readUsage();
  const start = performance.now();
  await trial.run();
  const seconds = (performance.now() - start) / 1000;
  const usage = addUsage(readUsage(), before, -1);
  const figures = trial.figures?.() ?? {};
  return { seconds, usage, latencies: trial.latencies.slice(), outcome: trial.check(), figures };
}

function sum(trials: Trial[], rounds: Map<Trial, Sample>[]): Measurement[] {
  if (rounds.length === 0) return [];
  return trials.map((trial) => {
    const samples = rounds.map((round) => round.get(trial)!);
    const latencies = new Float64Array(samples.length * trial.requests);
    const total: Outcome = { wrong: 0, failed: 0, asynchronous: 0, error: undefined };
    for (const [index, { latencies: some, outcome }] of samples.entries()) {
      latencies.set(some, index * trial.requests);
      total.wrong += outcome.wrong;
      total.failed += outcome.failed;
      total.asynchronous += outcome.asynchronous;
      total.error ??= outcome.error;
    }
    return {
      arm: trial.arm,
      depth: trial.depth,
      requests: samples.length * trial.requests,
      seconds: samples.map((sample) => sample.seconds),
      latencies: latencies.sort(),
      usage: samples.reduce((usage, sample) => addUsage(usage, sample.usage), noUsage),
      outcome: total,
      figures: Object.fromEntries(
        Object.keys(samples[0]!.figures).map((key) => [key, samples.map(({ figures }) => figures[key]!)]),
      ),
    };
  });
}
