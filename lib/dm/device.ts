import { checkBytes, rangeError } from '../base/bytes.js';
import type { MemoryUsage } from '../base/mempool.js';
import { debug } from '../base/observe.js';
import { Bio, type BioError, type BioFields, type FailedRange, sectorSize } from './bio.js';
import { DeviceError } from './device-error.js';
import type { Extent } from './extent.js';
import type { DeviceReport, LineReport, MappedReport } from './holdings.js';
import type { MappedLine, MappedTable } from './mapped-table.js';
import { RangeLock } from './range-lock.js';
import { splitArgs } from './split-args.js';
import type { BlockDevice } from './target.js';

/**
 * A mapped device: what a table describes (struct mapped_device). Offsets and lengths are bytes, and need not be whole sectors; any number
 * of operations may be in flight. A write waits for the earlier reads and writes that it overlaps, and a read for such writes.
 */
export class Device implements BlockDevice {
  readonly sectors: number;
  readonly blockSize: number;
  readonly discards: boolean;
  readonly discardsToZero: boolean;
  readonly #table: MappedTable;
  readonly #lock = new RangeLock();
  #state: 'live' | 'suspended' | 'closed' = 'live';
  #inFlight = 0;
  /** Bios that came while the device was suspended. */
  #deferred: Bio[] = [];
  #idle: (() => void)[] = [];

  /** @see openTable */
  constructor(table: MappedTable) {
    this.#table = table;
    this.sectors = table.sectors;
    this.blockSize = table.blockSize;
    this.discards = table.discards;
    this.discardsToZero = table.discardsToZero;
  }

  /** Bytes of the device. */
  get size(): number {
    return this.sectors * sectorSize;
  }

  get suspended(): boolean {
    return this.#state === 'suspended';
  }

  /** Takes a bio as a device below another one's target does. */
  submit(bio: Bio): void {
    if (this.#state === 'suspended') this.#deferred.push(bio);
    else if (this.#state === 'closed') this.#table.refuse(bio, 'ENXIO');
    else {
      this.#inFlight++;
      this.#table.map(bio, this.#ended);
    }
  }

  readonly #ended = () => {
    if (--this.#inFlight === 0) for (const idle of this.#idle.splice(0)) idle();
  };

  /**
   * Reads into a buffer of the caller's, which must not be detached until it is done, or into a new one of that length. @throws DeviceError with the sectors that failed; RangeError
   */
  async read(offset: number, into: number | Uint8Array): Promise<Uint8Array> {
    const bytes = typeof into === 'number' ? Buffer.allocUnsafe(checkRange('length', into, this.size)) : into;
    if (typeof into !== 'number') checkBytes('into', into);
    const { first, count, head } = this.#blocks(offset, bytes.length);
    if (count === 0) return bytes;
    const isWhole = bytes.length === count * sectorSize;
    const whole = isWhole ? bytes : Buffer.allocUnsafe(count * sectorSize);
    await this.#runLocked({ op: 'read', sector: first, bytes: whole });
    if (!isWhole) bytes.set(whole.subarray(head, head + bytes.length));
    return bytes;
  }

  /**
   * Writes; the bytes must stay as they are, and must not be detached, until it is done. Blocks that are written in part are read first. With `fua` it is on stable
   * storage when it is done. @throws DeviceError with the sectors that failed; RangeError
   */
  async write(offset: number, bytes: Uint8Array, { fua = false } = {}): Promise<void> {
    checkBytes('bytes', bytes);
    const { first, count, head } = this.#blocks(offset, bytes.length);
    if (count === 0) return fua ? this.flush() : undefined;
    if (bytes.length === count * sectorSize) return this.#runLocked({ op: 'write', sector: first, bytes, fua });
    const release = await new Promise<() => void>((enter) => this.#lock.acquire(first, count, true, enter));
    try {
      const whole = Buffer.allocUnsafe(count * sectorSize);
      await this.#readEdges(first, whole, head, head + bytes.length);
      whole.set(bytes, head);
      await this.#run({ op: 'write', sector: first, bytes: whole, fua });
    } finally {
      release();
    }
  }

  /** Reads the blocks at both ends of `whole` that a write from `head` to `end` covers in part. */
  async #readEdges(first: number, whole: Uint8Array, head: number, end: number): Promise<void> {
    const last = whole.length - this.blockSize;
    const edges = new Set([...(head > 0 ? [0] : []), ...(end < whole.length ? [last] : [])]);
    const reads = [...edges].map((at) => {
      const bytes = whole.subarray(at, at + this.blockSize);
      return this.#run({ op: 'read', sector: first + at / sectorSize, bytes });
    });
    await Promise.all(reads);
  }

  /** Everything written so far is on stable storage when it is done. @throws DeviceError */
  flush(): Promise<void> {
    return this.#run({ op: 'flush', sector: 0 });
  }

  extent(sector: number, sectors: number): Extent {
    return this.#table.extent(sector, sectors);
  }

  /** What lies in these bytes, in order: holes, which read as zeroes and take no space, and data between them, or what may be. @throws RangeError */
  *extents(offset: number, length: number): Generator<{ length: number; hole: boolean }> {
    checkRange('offset', offset, this.size);
    const end = offset + checkRange('length', length, this.size - offset);
    let run = { length: 0, hole: false };
    for (let at = offset; at < end; ) {
      const sector = Math.floor(at / sectorSize);
      const { sectors, hole } = this.extent(sector, Math.ceil(end / sectorSize) - sector);
      const next = Math.min((sector + sectors) * sectorSize, end);
      if (run.length > 0 && run.hole !== hole) {
        yield run;
        run = { length: 0, hole };
      }
      run = { length: run.length + next - at, hole };
      at = next;
    }
    if (run.length > 0) yield run;
  }

  /** Says that whole blocks are not needed any more. @throws DeviceError EOPNOTSUPP where the table has none; RangeError */
  async discard(offset: number, length: number): Promise<void> {
    const { first, count } = this.#blocks(offset, length);
    if (offset % this.blockSize !== 0 || length % this.blockSize !== 0)
      throw rangeError(`discard: expected multiples of ${this.blockSize} bytes, got ${offset} and ${length}`);
    if (count === 0) return;
    await this.#runLocked({ op: 'discard', sector: first, sectors: count });
  }

  /** Lets what is in flight end, and holds what comes from now on (drivers/md/dm.c:dm_suspend). */
  async suspend(): Promise<void> {
    if (this.#state !== 'live') throw new DeviceError('EINVAL', `suspend: the device is ${this.#state}`);
    for (const { target } of this.#table.lines) target.presuspend?.();
    this.#state = 'suspended';
    await this.#drain();
    for (const { target } of this.#table.lines) target.postsuspend?.();
  }

  /** Goes on, with what was held first. @throws DeviceError of a target that cannot; the device then stays suspended */
  async resume(): Promise<void> {
    if (this.#state !== 'suspended') throw new DeviceError('EINVAL', `resume: the device is ${this.#state}`);
    await this.#drain();
    for (const { target } of this.#table.lines) target.preresume?.();
    for (const { target } of this.#table.lines) target.resume?.();
    this.#state = 'live';
    for (const bio of this.#deferred.splice(0)) this.submit(bio);
  }

  /** `dmsetup message`: words, or a line of them, for the target that has this sector. @throws DeviceError */
  async message(message: string | readonly string[], { sector = 0 } = {}): Promise<string | undefined> {
    const argv = typeof message === 'string' ? splitArgs(message) : [...message];
    if (argv.length === 0) throw new DeviceError('EINVAL', 'Empty message received.');
    const line = this.#table.find(sector);
    if (!line) throw new DeviceError('EINVAL', 'Target message sector outside device.');
    if (!line.target.message) throw new DeviceError('EINVAL', 'Target type does not support messages');
    return line.target.message(argv);
  }

  /** As `dmsetup status` prints it. */
  status(): string {
    return this.#lines('info', false);
  }

  /** As `dmsetup table` prints it: what to open the device with again. Keys are zeroes without `showKeys`. */
  table({ showKeys = false } = {}): string {
    return this.#lines('table', showKeys);
  }

  #lines(kind: 'info' | 'table', showKeys: boolean): string {
    return this.#table.lines
      .map(({ start, length, type, target }) => `${start} ${length} ${type} ${target.status(kind, showKeys)}`)
      .join('\n');
  }

  /** Bytes that its targets hold for themselves, ready and in use. */
  memoryUsage(): MemoryUsage {
    const sum = { reserved: 0, inUse: 0 };
    for (const { target } of this.#table.lines) {
      const { reserved = 0, inUse = 0 } = target.memoryUsage?.() ?? {};
      sum.reserved += reserved;
      sum.inUse += inUse;
    }
    return sum;
  }

  /** Everything that it holds, and what it lies on. Keys are in none of it. */
  report(): MappedReport {
    const lines = this.#table.lines.map((line) => reportLine(line));
    return { state: this.#state, inFlight: this.#inFlight, deferred: this.#deferred.length, lines };
  }

  describe(): string {
    return 'a mapped device';
  }

  /** Lets what is in flight end, and closes the targets and what they lie on. What a suspended device holds fails. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    if (this.#state === 'live') for (const { target } of this.#table.lines) target.presuspend?.();
    this.#state = 'closed';
    for (const bio of this.#deferred.splice(0)) this.#table.refuse(bio, 'ENXIO');
    await this.#drain();
    await this.#table.close();
    debug(() => `device ${this.#table.id}: closed`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #drain(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#inFlight === 0) resolve();
      else this.#idle.push(resolve);
    });
  }

  /** The whole blocks, in sectors, that hold these bytes, and how far into them the bytes begin. @throws RangeError */
  #blocks(offset: number, length: number): { first: number; count: number; head: number } {
    checkRange('offset', offset, this.size);
    checkRange('length', length, this.size - offset);
    const head = offset % this.blockSize;
    const end = Math.ceil((offset + length) / this.blockSize) * this.blockSize;
    const first = (offset - head) / sectorSize;
    return { first, count: length === 0 ? 0 : end / sectorSize - first, head };
  }

  #run(fields: BioFields): Promise<void> {
    return new Promise((resolve, reject) => {
      const endio = (error: BioError | null) => (error ? reject(failure(fields, error)) : resolve());
      this.submit(new Bio(fields, endio));
    });
  }

  /** When the range is free for it. A promise alone, however many steps it has: a short request is little else but such steps. */
  #runLocked(fields: BioFields): Promise<void> {
    return new Promise((resolve, reject) => {
      let release: () => void;
      const bio = new Bio(fields, (error) => {
        release();
        if (error) reject(failure(fields, error));
        else resolve();
      });
      this.#lock.acquire(bio.sector, bio.sectors, bio.op !== 'read', (giveBack) => {
        release = giveBack;
        this.submit(bio);
      });
    });
  }
}

function reportLine({ start, length, type, target, pools = new Map(), devices = new Map() }: MappedLine): LineReport {
  const { mempools, ...rest } = target.holdings?.() ?? {};
  const made = [...pools].map(([kind, pool]) => [kind, { ...pool.memoryUsage(), waiting: pool.waiting }]);
  const memory = target.memoryUsage?.() ?? { reserved: 0, inUse: 0 };
  return {
    ...{ start, length, type, params: target.status('info', false), table: target.status('table', false) },
    holds: { memory, mempools: { ...Object.fromEntries(made), ...mempools }, ...rest },
    devices: [...devices].map(([name, device]) => reportBelow(name, device)),
  };
}

function reportBelow(name: string, device: BlockDevice): DeviceReport {
  const { sectors, blockSize } = device;
  const [holds, mapped] = [device.holdings?.(), device.report?.()];
  return { name, sectors, blockSize, ...(holds && { holds }), ...(mapped && { mapped }) };
}

function checkRange(what: string, value: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > max)
    throw rangeError(`${what}: expected 0 to ${max} bytes, where the device ends, got ${value}`);
  return value;
}

function failure({ op, sector }: BioFields, { code, failed, cause }: BioError): DeviceError {
  const ranges = merge(failed).map(({ first, count }) => ({ sector: sector + first, sectors: count }));
  const words = ranges.map((range) => `${range.sector}+${range.sectors}`).join(', ');
  const why = cause instanceof Error ? `; ${cause.message}` : '';
  const what = op === 'flush' ? 'flush failed' : `${op} failed at sectors ${words}`;
  return new DeviceError(code, what + why, ranges, { cause });
}

/** In order, and adjacent ones as one. */
function merge(ranges: readonly FailedRange[]): FailedRange[] {
  const merged: FailedRange[] = [];
  for (const { first, count } of [...ranges].sort((a, b) => a.first - b.first)) {
    const last = merged.at(-1);
    if (last && first <= last.first + last.count) last.count = Math.max(last.count, first + count - last.first);
    else merged.push({ first, count });
  }
  return merged;
}
