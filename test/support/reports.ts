import { ivArms, ivPairs, ivPublished } from '../../lib/compare/iv/arms.js';
import { type CellHead, type IvReport, makeCell } from '../../lib/compare/iv/report.js';
import { armResult, percentOf } from '../../lib/compare/measure/arm-result.js';
import type { Environment } from '../../lib/compare/measure/environment.js';
import type { Measurement } from '../../lib/compare/measure/experiment.js';
import type { Group, GroupsReport } from '../../lib/compare/measure/group.js';
import { judge, method } from '../../lib/compare/measure/verdict.js';
import { concludeMempool } from '../../lib/compare/mempool/conclusion.js';
import { type MempoolReport, stackCases } from '../../lib/compare/mempool/mempool.js';
import type { AllReport } from '../../lib/compare/report.js';

/** Of each arm in the reports below. */
export const rounds = 12;

/** The lab, as it describes itself. */
export const environment: Environment = {
  date: '2026-05-04T12:34:56.789Z',
  kernel: { release: '6.1.0-40-amd64', version: '#1 SMP Debian 6.1.153-1', architecture: 'x64', commandLine: 'quiet' },
  lab: 'aio',
  host: { kernel: '6.12.1', cpu: 'A processor <of the host>', count: 2, busy: 0.31 },
  cpu: { model: 'QEMU TCG CPU version 2.5+', count: 2, flags: ['aes', 'ssse3'] },
  virtualisation: 'emulated',
  memoryBytes: 2 ** 30,
  afAlg: { available: true, aio: { state: 'asynchronous', evidence: '4 of 4 IOCBs completed later' } },
  node: 'v20.20.2',
  libcrypto: '3.0.19',
  load: 0.25,
  drivers: [
    {
      name: 'cryptd(cbc(aes-generic))',
      provider: 'kernel',
      module: 'cryptd',
      priority: 150,
      parameters: { cryptd_max_cpu_qlen: '1000' },
    },
  ],
};

/** An arm that does 64 requests at so many MiB/s, a little more or less each round. */
export function measurement(
  arm: string,
  rate: number,
  figures: Record<string, number> = {},
  bytes = 4096,
): Measurement {
  const requests = 64;
  const seconds = Array.from(
    { length: rounds },
    (_, round) => ((requests * bytes) / (rate * 2 ** 20)) * (1 + 0.03 * Math.sin(7 * round + arm.length)),
  );
  return {
    arm,
    depth: 4,
    requests: requests * rounds,
    seconds,
    latencies: new Float64Array(requests * rounds).fill((seconds[0]! * 1000) / 4),
    usage: { cpuSeconds: 0.5, voluntarySwitches: 700, involuntarySwitches: 30 },
    outcome: { wrong: 0, failed: 0, asynchronous: requests * rounds, error: undefined },
    figures: Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, seconds.map(() => value)])),
  };
}

/** A group of such arms, of which the first is the base. */
export function group(name: string, measurements: Measurement[]): Group {
  const [base] = measurements;
  const results = measurements.map((one) => {
    const { percent, spread } = percentOf(one, base!);
    const figures = Object.fromEntries(Object.entries(one.figures).map(([key, values]) => [key, values[0]!]));
    return { ...armResult(one, 4096), percentOfBase: percent, percentSpread: spread, figures };
  });
  const pairs = measurements.slice(1).map(({ arm }) => [arm, base!.arm] as const);
  return { name, base: base!.arm, results, comparisons: judge(measurements, pairs) };
}

const flags = ['default', 'no_read_workqueue', 'no_write_workqueue', 'same_cpu_crypt', 'submit_from_crypt_cpus'];
const rates = {
  read: [38.2, 91.5, 37.9, 30.1, 38, 6.1, 14.8, 6.2, 5.4, 6],
  write: [21.4, 21.1, 88.2, 18.9, 30.3, 4.4, 4.5, 12.9, 4.1, 5.2],
};

export function workqueueReport(): GroupsReport {
  const arms = [...flags, ...flags.map((flag) => `${flag}, kernel`)];
  const groupOf = (op: 'read' | 'write') =>
    group(
      `${op}, depth 32, ecb(cipher_null)`,
      arms.map((arm, index) => measurement(arm, rates[op][index]!)),
    );
  const source = 'Korchagin 2020: dm-devel, 2020-06-30, a VM with 4 cores';
  const published = (op: string, arm: string, value: number) => ({
    what: `${op}, ${arm}`,
    value,
    unit: 'MiB/s',
    group: `${op}, depth 32, ecb(cipher_null)`,
    arm,
    source,
  });
  return {
    version: 1,
    experiment: 'workqueue',
    environment,
    method: { ...method, warmUps: 1, quick: false },
    groups: [groupOf('read'), groupOf('write')],
    omitted: [{ arm: 'high_priority', reason: 'CAP_SYS_NICE is missing' }],
    published: [
      published('read', 'default', 80.6),
      published('read', 'no_read_workqueue', 295),
      published('write', 'default', 40.4),
      published('write', 'no_write_workqueue', 277),
      { what: 'read, the ramdisk itself', value: 508, unit: 'MiB/s', source },
    ],
    conclusions: ['without a work queue reads are 2.40 times as fast, as Korchagin 2020 claims.'],
  };
}

export function unitsReport(): GroupsReport {
  const split = (build: number, cross: number, cipher: number, complete: number) => ({
    'build us': build,
    'cross us': cross,
    'cipher us': cipher,
    'complete us': complete,
  });
  return {
    ...workqueueReport(),
    experiment: 'units',
    groups: [
      group('256 KiB bios, aes-xts-plain64, 4096-byte units', [
        measurement('one request a unit', 310, split(310, 170, 260, 66)),
        measurement('chain of requests', 420, split(140, 44, 330, 80)),
        measurement('whole bio, cut at the bottom', 1080, split(4, 5, 216, 6)),
      ]),
    ],
    omitted: [],
    published: [],
    conclusions: ['the whole bio passed down is 3.48 times as fast as a request for each unit.'],
  };
}

const speeds: Record<string, number> = {
  unchained: 20,
  mutex: 6,
  'mutex-aio': 8,
  'staged-1': 14,
  'staged-8': 16.8,
  socket: 15.1,
  'unchained-decrypt': 20,
  resolved: 19.4,
  hazard: 18,
};

export function ivReport(): IvReport {
  const parts = [512, 8192].map((bytes) => {
    const head: CellHead = { driver: 'cryptd(cbc(aes-generic))', bytes, engine: 'aio', serialised: false };
    const measurements = ivArms.map(({ name }) => measurement(name, speeds[name]!, {}, bytes));
    measurements.at(-1)!.outcome = { wrong: 100, failed: 0, asynchronous: 64, error: undefined };
    const comparisons = judge(measurements, ivPairs).map((each) => ({ driver: head.driver, bytes, ...each }));
    return { cells: measurements.map((each) => makeCell(head, each, measurements[0]!)), comparisons };
  });
  return {
    version: 1,
    experiment: 'iv',
    environment,
    method: { ...method, warmUps: 1, quick: true },
    results: parts.flatMap(({ cells }) => cells),
    comparisons: parts.flatMap(({ comparisons }) => comparisons),
    omitted: [{ driver: 'virtio_crypto_aes_cbc', reason: 'no such driver: <b>module</b> missing & "gone"' }],
    published: [...ivPublished],
    conclusions: [{ driver: 'cryptd(cbc(aes-generic))', text: 'queueing after the build is faster.' }],
  };
}

export function mempoolReport(): MempoolReport {
  const stacks = stackCases(true).map((each) => {
    const { target, depth, pools, reserve, inFlight } = each;
    const stops = pools === 'shared' && reserve <= inFlight * (depth - 1);
    const [bios, done] = [64, stops ? depth % 3 : 64];
    const pool = target === 'verity' ? 'requests of bios' : 'pages of a write';
    const waits = { waits: 'bio 1 of device 1', pool, heldBy: [`bio 1 of device ${depth}`] };
    return { ...each, bios, done, ...(!stops && { seconds: 0.1 }), deadlock: stops ? [waits] : [], outputsOk: true };
  });
  const memory = [
    { pools: 'per device', reserve: 16, devices: 59, bytes: 8941568 },
    { pools: 'shared', reserve: 16, devices: 59, bytes: 151552 },
    { pools: 'per device', reserve: 1, devices: 59, bytes: 785408 },
    { pools: 'shared', reserve: 1, devices: 59, bytes: 13312 },
  ] as const;
  return {
    version: 1,
    experiment: 'mempool',
    environment,
    method: { least: 64, most: 64, bytes: 16384, quick: true },
    stacks,
    memory: [...memory],
    omitted: [],
    published: {
      devices: 59,
      bytes: 3.87 * 2 ** 20,
      claim: 'sharing mempools is prone to deadlocks; a reserve of 1 is safe, 0 is not',
      source: 'Patocka 2025: dm-devel, April 2025',
    },
    conclusion: concludeMempool(stacks, memory, true),
  };
}

export function allReport(): AllReport {
  const reports = [ivReport(), workqueueReport(), unitsReport(), mempoolReport()];
  return { version: 1, experiment: 'all', environment, reports };
}
