import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import type { Measurement } from '../measure/experiment.js';
import { addUsage, noUsage } from '../measure/usage.js';

/** Something that fio is to do for a while, again and again. */
export interface FioArm {
  name: string;
  /** The block device. */
  path: string;
}

export interface FioPlan {
  op: 'read' | 'write';
  order: 'sequential' | 'random';
  depth: number;
  /** Bytes of a request. */
  bytes: number;
  /** What is written, in hex, again and again. */
  pattern: string;
  rounds: number;
  /** No further round begins after so long. */
  seconds: number;
  /** Of each run. */
  milliseconds: number;
}

/** What is read of fio's JSON: HOWTO.rst, "JSON output" and "JSON+ output". */
interface FioJob {
  error: number;
  usr_cpu: number;
  sys_cpu: number;
  ctx: number;
  read: FioDirection;
  write: FioDirection;
}
interface FioDirection {
  total_ios: number;
  /** Milliseconds. */
  runtime: number;
  clat_ns: { bins?: Record<string, number> };
}

/**
 * Runs the arms in rounds, forwards and backwards in turn, as measure() does, a round in one process of fio's. Blocks. fio runs for a time and not for a number
 * of requests: `seconds` is the time that as many requests take at the run's rate as the first arm did at least, so that arms can be held against each other.
 * A round does not count in which an arm did nothing at all: the machine was stopped for as long as its run was. Outputs are not looked at.
 * @throws Error with what fio had to say, or when there is no round that counts
 */
export function measureByFio(arms: readonly FioArm[], plan: FioPlan): Measurement[] {
  const rounds: FioJob[][] = [];
  const start = performance.now();
  const isLate = () => rounds.length > 0 && performance.now() - start > plan.seconds * 1000;
  for (let run = 0; rounds.length < plan.rounds && run < 4 * plan.rounds && !isLate(); run++) {
    const jobs = runRound(arms, run, plan);
    if (jobs.every((job) => job[plan.op].total_ios > 0 && job[plan.op].runtime > 0)) rounds.push(jobs);
  }
  if (rounds.length === 0) throw new Error(`fio: nothing was done in runs of ${plan.milliseconds} ms`);
  const requests = Math.min(...rounds.map(([first]) => first![plan.op].total_ios));
  return arms.map(({ name }, index) => {
    const jobs = rounds.map((round) => round[index]!);
    return summary(name, jobs, requests, plan);
  });
}

/** Returns what came of each arm, in the arms' order. */
function runRound(arms: readonly FioArm[], round: number, plan: FioPlan): FioJob[] {
  const order = round % 2 === 0 ? [...arms.keys()] : [...arms.keys()].reverse();
  const { status, stdout, stderr, error } = spawnSync('fio', ['--output-format=json+', '-'], {
    input: jobFile(arms, order, plan),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (error || status !== 0) throw new Error(`fio: ${error?.message ?? `${stderr}${stdout}`.trim().split('\n')[0]}`);
  // Warnings may stand in front of it.
  const { jobs } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { jobs: FioJob[] };
  const failed = jobs.find((job) => job.error !== 0);
  if (failed || jobs.length !== order.length) throw new Error(`fio: error ${failed?.error ?? 'unknown'}`);
  return arms.map((_, index) => jobs[order.indexOf(index)]!);
}

function jobFile(arms: readonly FioArm[], order: readonly number[], plan: FioPlan): string {
  const { op, depth, bytes, milliseconds, pattern } = plan;
  return [
    '[global]',
    `rw=${plan.order === 'random' ? 'rand' : ''}${op}`,
    `bs=${bytes}`,
    'direct=1',
    'ioengine=libaio',
    `iodepth=${depth}`,
    'thread',
    'time_based',
    `runtime=${milliseconds}ms`,
    'norandommap',
    ...(op === 'write' ? [`buffer_pattern=0x${pattern}`] : []),
    ...order.flatMap((index, at) => [`[run${at}]`, 'stonewall', `filename=${arms[index]!.path}`]),
    '',
  ].join('\n');
}

function summary(arm: string, jobs: FioJob[], requests: number, { op, depth }: FioPlan): Measurement {
  const latencies: number[] = [];
  for (const job of jobs)
    for (const [nanoseconds, count] of Object.entries(job[op].clat_ns.bins ?? {}))
      for (let i = 0; i < count; i++) latencies.push(Number(nanoseconds) / 1e6);
  return {
    arm,
    depth,
    requests: requests * jobs.length,
    seconds: jobs.map((job) => ((job[op].runtime / 1000) * requests) / job[op].total_ios),
    latencies: Float64Array.from(latencies).sort(),
    usage: jobs.reduce((sum, job) => addUsage(sum, usageOf(job, op)), noUsage),
    outcome: { wrong: 0, failed: 0, asynchronous: requests * jobs.length, error: undefined },
    figures: {},
  };
}

/** fio does not say who gave the processor up. */
function usageOf({ usr_cpu, sys_cpu, ctx, ...job }: FioJob, op: 'read' | 'write') {
  const cpuSeconds = ((usr_cpu + sys_cpu) / 100) * (job[op].runtime / 1000);
  return { cpuSeconds, voluntarySwitches: ctx, involuntarySwitches: 0 };
}
