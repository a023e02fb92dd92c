import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import type { Device } from '../../dm/device.js';
import { openTable } from '../../dm/open-table.js';
import { TestImage } from '../material/test-image.js';
import { describeEnvironment, type Environment } from '../measure/environment.js';
import type { LeftOut } from '../measure/group.js';
import { TimeBudget } from '../measure/time-budget.js';
import { limited, stoppedBefore, type Watch } from '../watch.js';
import { concludeMempool } from './conclusion.js';
import { bioSize, Load, type LoadExtent } from './load.js';
import { kindOf, Stack, type StackTarget, stackTargets } from './stack.js';
import { formatMempool, stackText } from './table.js';
import { MempoolTrace, type Wait } from './trace.js';

/** Bytes of the topmost device. */
const imageSize = 1 << 20;

/** Devices of Patocka 2025, and what it says that their reserves take. */
const publishedDevices = 59;
const publishedBytes = 3.87 * 2 ** 20;

const stackLoad = { quick: { least: 16, most: 64, seconds: 1 }, full: { least: 16, most: 2048, seconds: 1.2 } };

/** Of the time. The rest is for opening the devices whose memory is counted, which takes long on a slow machine, and says less. */
const stackShare = 0.7;

const poolsOf = ['per device', 'shared'] as const;
export type Pools = (typeof poolsOf)[number];

export interface StackCase {
  /** What it is made of. Verity devices are read, crypt devices written. */
  target: StackTarget;
  /** Devices on each other. */
  depth: number;
  pools: Pools;
  /** Elements that each mempool keeps; there are no others (verity: reserved_bio_based_ios; crypt: pages of one bio). */
  reserve: number;
  /** Bios that the owner of the topmost device has in flight at once. */
  inFlight: number;
}

export interface StackResult extends StackCase {
  /** Bios that were begun, and that were done before the deadlock if there was one. */
  bios: number;
  done: number;
  /** Of all bios; not measured where they came to a stop. */
  seconds?: number;
  /** Empty where all ended: the waits that would never have. */
  deadlock: { waits: string; pool: string; heldBy: string[] }[];
  /** Whether all bytes were right, those included that were read or written once there was memory again; of crypt those above and below. */
  outputsOk: boolean;
}

export interface MemoryResult {
  pools: Pools;
  reserve: number;
  devices: number;
  /** What the mempools of all devices hold, nothing being in flight. */
  bytes: number;
}

export interface MempoolReport {
  version: 1;
  experiment: 'mempool';
  environment: Environment;
  /** Bios of a stack at least and at most, and bytes of each. */
  method: { least: number; most: number; bytes: number; quick: boolean };
  stacks: StackResult[];
  memory: MemoryResult[];
  omitted: LeftOut[];
  published: { devices: number; bytes: number; claim: string; source: string };
  conclusion: string;
}

const depths = { quick: [2, 4, 8], full: [2, 4, 8, 3, 5, 6, 7] };

/**
 * Every case: data, so that a case is a line. In the order in which they are tried: time may be short, and deep stacks take long; the smallest
 * reserve says most.
 */
export function stackCases(quick: boolean): StackCase[] {
  const cases = (quick ? depths.quick : depths.full).flatMap((depth) =>
    [1, 64, 4].flatMap((inFlight) =>
      [1, 16].flatMap((reserve) =>
        stackTargets.flatMap((target) =>
          poolsOf.map((pools): StackCase => ({ target, depth, pools, reserve, inFlight })),
        ),
      ),
    ),
  );
  return cases.filter(({ target, reserve }) => kindOf(target).reserves.includes(reserve));
}

/** Patocka 2025: do stacked devices come to a stop when they share a mempool, and what would sharing save? */
export async function compareMempool({ quick }: { quick: boolean }, watch: Watch = {}): Promise<MempoolReport> {
  const { signal } = watch;
  const environment = await describeEnvironment([]);
  watch.described?.(environment);
  const extent = stackLoad[quick ? 'quick' : 'full'];
  const cases = stackCases(quick);
  watch.planned?.(cases.length);
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-mempool-'));
  const stacks: StackResult[] = [];
  const memory: MemoryResult[] = [];
  try {
    const image = await TestImage.make(folder, { size: imageSize });
    const time = (watch.seconds ?? Number.POSITIVE_INFINITY) * stackShare;
    const budget = new TimeBudget(time, cases.length);
    const { signal: enough } = limited(watch, time);
    for (const each of cases) {
      if (enough?.aborted) break;
      const seconds = Math.min(extent.seconds, budget.next());
      stacks.push(await runStack(image, each, { ...extent, seconds }));
      watch.ran?.(1, `${stackText(each)}, mempools ${each.pools}`);
      // Where nothing waits for a file the loop had no turn to hear of an interruption.
      await turn();
    }
    for (const reserve of [16, 1])
      for (const pools of poolsOf) if (!signal?.aborted) memory.push(await measureMemory(image, pools, reserve));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const missing = cases.length - stacks.length;
  stacks.sort((a, b) => stackTargets.indexOf(a.target) - stackTargets.indexOf(b.target) || a.depth - b.depth);
  const report: MempoolReport = {
    version: 1,
    experiment: 'mempool',
    environment,
    method: { least: extent.least, most: extent.most, bytes: bioSize, quick },
    stacks,
    memory,
    omitted: missing > 0 ? [{ reason: `${stoppedBefore} ${missing} of ${cases.length} stacks` }] : [],
    published: {
      devices: publishedDevices,
      bytes: publishedBytes,
      claim: 'sharing mempools is prone to deadlocks; a reserve of 1 is safe, 0 is not',
      source: 'Patocka 2025: dm-devel, April 2025',
    },
    conclusion: concludeMempool(stacks, memory, missing === 0),
  };
  watch.print?.(`\n${formatMempool(report)}`);
  return report;
}

async function runStack(image: TestImage, each: StackCase, extent: LoadExtent): Promise<StackResult> {
  let waits: Wait[] = [];
  let stopped = () => {};
  const stop = new Promise<void>((resolve) => {
    stopped = resolve;
  });
  const trace = new MempoolTrace(() => {
    if (waits.length > 0) return;
    waits = trace.deadlock();
    if (waits.length > 0) stopped();
  });
  const stack = await Stack.open(each, image, trace.maker(each.pools === 'shared'));
  try {
    const { op } = kindOf(each.target);
    const load = new Load(stack.top, op, image.bytes);
    const start = performance.now();
    const ended = load.run(each.inFlight, extent);
    await Promise.race([ended, stop]);
    const seconds = (performance.now() - start) / 1000;
    const { done } = load;
    if (waits.length > 0) trace.relieve();
    await ended;
    if (op === 'write') await load.readBack(stack.ram);
    return resultOf(each, load, { done, seconds, waits });
  } finally {
    await stack.close();
  }
}

function resultOf(
  each: StackCase,
  { begun, outputsOk }: Load,
  { done, seconds, waits }: { done: number; seconds: number; waits: Wait[] },
): StackResult {
  return {
    ...each,
    bios: begun,
    done,
    ...(waits.length === 0 && { seconds }),
    deadlock: waits.map(({ errand, pool, holders }) => ({
      waits: errand.name,
      pool,
      heldBy: holders.map(({ name }) => name),
    })),
    outputsOk,
  };
}

/** Opens the devices side by side, as on a phone: nothing is in flight. */
async function measureMemory(image: TestImage, pools: Pools, reserve: number): Promise<MemoryResult> {
  const trace = new MempoolTrace(() => {});
  const makeMempool = trace.maker(pools === 'shared');
  const line = image.line(image.data);
  const opened: Device[] = [];
  try {
    while (opened.length < publishedDevices)
      opened.push(await openTable(line, { readOnly: true, reserve, memory: { makeMempool } }));
    return { pools, reserve, devices: opened.length, bytes: trace.bytes };
  } finally {
    for (const device of opened) await device.close();
  }
}
