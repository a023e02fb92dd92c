import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Bio, sectorSize } from '../../dm/bio.js';
import type { Device } from '../../dm/device.js';
import { openTable } from '../../dm/open-table.js';
import type { BlockDevice } from '../../dm/target.js';
import { TestImage } from '../material/test-image.js';
import { describeEnvironment, type Environment } from '../measure/environment.js';
import type { LeftOut } from '../measure/group.js';
import { TimeBudget } from '../measure/time-budget.js';
import { stoppedBefore, type Watch } from '../watch.js';
import { concludeMempool } from './conclusion.js';
import { formatMempool } from './table.js';
import { MempoolTrace, type Wait, withErrands } from './trace.js';

/** Bytes of a bio and of the image. */
const bioSize = 16384;
const imageSize = 1 << 20;

/** Devices of document 5, and what it says that their reserves take. */
const publishedDevices = 59;
const publishedBytes = 3.87 * 2 ** 20;

/** A stack is read until it has done all, or the least and its time is up: reads at least, at most, seconds. */
const stackLoad = { quick: { least: 16, most: 64, seconds: 1 }, full: { least: 16, most: 2048, seconds: 1.2 } };

const poolsOf = ['per device', 'shared'] as const;
export type Pools = (typeof poolsOf)[number];

export interface StackCase {
  /** Verity devices on each other. */
  depth: number;
  pools: Pools;
  /** Elements that each mempool keeps; there are no others (reserved_bio_based_ios). */
  reserve: number;
  /** Reads that the owner of the topmost device has in flight at once. */
  inFlight: number;
}

export interface StackResult extends StackCase {
  /** Reads that were begun, and that were done before the deadlock if there was one. */
  reads: number;
  done: number;
  /** Of all reads; not measured where they came to a stop. */
  seconds?: number;
  /** Empty where all ended: the waits that would never have. */
  deadlock: { waits: string; pool: string; heldBy: string[] }[];
  /** Whether all bytes were right, those included that were read once there was memory again. */
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
  /** Reads of a stack at least and at most, and bytes of each. */
  method: { least: number; most: number; bytes: number; quick: boolean };
  stacks: StackResult[];
  memory: MemoryResult[];
  omitted: LeftOut[];
  published: { devices: number; bytes: number; claim: string; source: string };
  conclusion: string;
}

/** In the order in which they are tried: deep stacks take long, and time may be short. */
const depths = { quick: [2, 4, 8], full: [2, 4, 8, 3, 5, 6, 7] };

/** Every case: data, so that a case is a line. */
export function stackCases(quick: boolean): StackCase[] {
  return (quick ? depths.quick : depths.full).flatMap((depth) =>
    [1, 64, 4].flatMap((inFlight) =>
      [16, 1].flatMap((reserve) => poolsOf.map((pools): StackCase => ({ depth, pools, reserve, inFlight }))),
    ),
  );
}

/** Document 5: do stacked devices come to a stop when they share a mempool, and what would sharing save? */
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
    for (const reserve of [16, 1])
      for (const pools of poolsOf) if (!signal?.aborted) memory.push(await measureMemory(image, pools, reserve));
    const budget = new TimeBudget(watch.seconds ?? Number.POSITIVE_INFINITY, cases.length);
    for (const each of cases) {
      if (signal?.aborted) break;
      const seconds = Math.min(extent.seconds, budget.next());
      stacks.push(await runStack(image, each, { ...extent, seconds }));
      watch.ran?.(1, `${each.depth} devices, mempools ${each.pools}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const missing = cases.length - stacks.length;
  stacks.sort((a, b) => a.depth - b.depth);
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
      source: 'document 5: dm-devel, April 2025',
    },
    conclusion: concludeMempool(stacks, memory),
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
  const makeMempool = trace.maker(each.pools === 'shared');
  const opened: Device[] = [];
  let below: BlockDevice | undefined;
  try {
    for (let level = 1; level <= each.depth; level++) {
      const line = image.line(below ? 'below' : image.data);
      const devices = below ? { below } : {};
      const device = await openTable(line, { readOnly: true, reserve: each.reserve, makeMempool, devices });
      opened.unshift(device);
      below = withErrands(device, `device ${level}`);
    }
    const load = new Load(below!, image.bytes, extent);
    const start = performance.now();
    const ended = load.run(each.inFlight);
    await Promise.race([ended, stop]);
    const seconds = (performance.now() - start) / 1000;
    const { done } = load;
    if (waits.length > 0) trace.relieve();
    await ended;
    return resultOf(each, load, { done, seconds, waits });
  } finally {
    for (const device of opened) await device.close();
  }
}

function resultOf(
  each: StackCase,
  { begun, outputsOk }: Load,
  { done, seconds, waits }: { done: number; seconds: number; waits: Wait[] },
): StackResult {
  return {
    ...each,
    reads: begun,
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

interface LoadExtent {
  least: number;
  most: number;
  seconds: number;
}

/** Reads of a device, some at a time, looked at. */
class Load {
  begun = 0;
  done = 0;
  outputsOk = true;
  readonly #device: BlockDevice;
  readonly #expected: Buffer;
  readonly #extent: LoadExtent;

  constructor(device: BlockDevice, expected: Buffer, extent: LoadExtent) {
    this.#device = device;
    this.#expected = expected;
    this.#extent = extent;
  }

  async run(inFlight: number): Promise<void> {
    await Promise.all(Array.from({ length: inFlight }, () => this.#worker()));
  }

  async #worker(): Promise<void> {
    const bytes = Buffer.alloc(bioSize);
    const { least, most, seconds } = this.#extent;
    const end = performance.now() + seconds * 1000;
    while (this.begun < least || (this.begun < most && performance.now() < end)) {
      const at = (this.begun++ * bioSize) % imageSize;
      bytes.fill(0);
      const error = await new Promise((resolve) => {
        this.#device.submit(new Bio({ op: 'read', sector: at / sectorSize, bytes }, resolve));
      });
      this.outputsOk &&= error === null && bytes.equals(this.#expected.subarray(at, at + bioSize));
      this.done++;
    }
  }
}

/** Opens the devices side by side, as on a phone: nothing is in flight. */
async function measureMemory(image: TestImage, pools: Pools, reserve: number): Promise<MemoryResult> {
  const trace = new MempoolTrace(() => {});
  const makeMempool = trace.maker(pools === 'shared');
  const line = image.line(image.data);
  const opened: Device[] = [];
  try {
    while (opened.length < publishedDevices)
      opened.push(await openTable(line, { readOnly: true, reserve, makeMempool }));
    return { pools, reserve, devices: opened.length, bytes: trace.bytes };
  } finally {
    for (const device of opened) await device.close();
  }
}
