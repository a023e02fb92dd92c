import { type Clock, systemClock } from '../base/clock.js';
import type { MakeMempool, Mempool } from '../base/mempool.js';
import { debug } from '../base/observe.js';
import type { NbdClientOptions } from '../nbd/client/client.js';
import { isNbdUri } from '../nbd/uri.js';
import { sectorSize } from './bio.js';
import { Device } from './device.js';
import { extentOf } from './extent.js';
import { FileDevice, type FileDeviceOptions } from './file-device.js';
import { type MappedLine, MappedTable } from './mapped-table.js';
import { type MemoryPolicy, ownMemory } from './memory/memory-policy.js';
import { NbdDevice, type NbdDeviceOptions } from './nbd-device.js';
import { RamDevice } from './ram-device.js';
import { joinArgs } from './split-args.js';
import { formatTable, parseNumbered, type TableLine } from './table.js';
import { TableError } from './table-error.js';
import type { BlockDevice, CryptoOptions, Target, TargetEvent } from './target.js';
import { targetTypes } from './targets/index.js';

export interface OpenTableOptions extends CryptoOptions {
  /** Files are opened for reading only, and writes fail. */
  readOnly?: boolean;
  /** Files and block devices are read and written past the page cache (O_DIRECT). RAM has none. */
  direct?: boolean;
  /** Devices that table lines may name, mapped ones included: that is how devices stack. They stay open. */
  devices?: Readonly<Record<string, BlockDevice>>;
  /**
   * Keys that a line may name as `:<size>:<type>:<description>`, by '<type>:<description>'. They are looked for here before the kernel's
   * keyring. Copied; the caller wipes its own.
   */
  keys?: Readonly<Record<string, Uint8Array>>;
  clock?: Clock;
  /** How long NBD servers are waited for, and who hears of a connection that broke. */
  nbd?: Omit<NbdClientOptions, 'clock'>;
  /**
   * Reads of a crypt line of up to so many bytes are deciphered in the caller's thread, where lanes do the others: handing a few sectors over takes
   * longer than they do. Default 0, as dm-crypt does.
   */
  inlineBytes?: number;
  /** Elements that each mempool of a target keeps for itself (reserved_bio_based_ios). Default 16. */
  reserve?: number;
  /** @internal For experiments and tests: other memory than each device's own. */
  memory?: Partial<MemoryPolicy>;
  /** Hears what targets have to say. A restart or a panic that a table asks for is left to it. */
  onEvent?: (event: TargetEvent) => void;
}

/**
 * Opens the device that a table describes, as `dmsetup create` does: `<start> <length> <target> <args>` on each line. A device in a line is a
 * file, a block device, `ram:BYTES`, an NBD URI, or a name among `devices`. @throws TableError
 */
export async function openTable(table: string | readonly TableLine[], options: OpenTableOptions = {}): Promise<Device> {
  return openLines(typeof table === 'string' ? table : formatTable(table), options, new Map());
}

/**
 * Opens a file, a block device, `ram:BYTES` or an NBD URI as it is: one linear line over all of its sectors.
 * @throws TableError
 */
export async function openWhole(spec: string, options: OpenTableOptions = {}): Promise<Device> {
  const { readOnly = false, direct = false, clock = systemClock, nbd } = options;
  const below = await openBacking(spec, 1, { readOnly, direct, clock, ...nbd });
  const line = `0 ${below.sectors} linear ${joinArgs([spec])} 0`;
  return openLines(line, options, new Map([[spec, Promise.resolve(below)]]));
}

async function openLines(
  table: string,
  options: OpenTableOptions,
  opened: Map<string, Promise<BlockDevice>>,
): Promise<Device> {
  const mapped: MappedLine[] = [];
  try {
    for (const { line, number } of parseNumbered(table)) mapped.push(await openLine(line, number, options, opened));
    const id = ++devicesOpened;
    const device = new Device(new MappedTable(mapped, await Promise.all(opened.values()), id));
    if (device.size % device.blockSize !== 0)
      throw new TableError('not aligned to h/w logical block size', {
        hint: `${device.sectors} sectors, logical block size ${device.blockSize}`,
      });
    debug(() => `device ${id}: opened: ${device.table().replaceAll('\n', '; ')}`);
    return device;
  } catch (error) {
    const below = (await Promise.allSettled(opened.values())).filter((result) => result.status === 'fulfilled');
    await new MappedTable(
      mapped,
      below.map(({ value }) => value),
    ).close();
    throw error;
  }
}

/** Numbers the devices of this process for those who watch. */
let devicesOpened = 0;

async function openLine(
  line: TableLine,
  number: number,
  options: OpenTableOptions,
  opened: Map<string, Promise<BlockDevice>>,
): Promise<MappedLine> {
  const { start, length, type, args } = line;
  const found = targetTypes.find(({ name }) => name === type);
  if (!found) {
    const hint = `expected ${targetTypes.map(({ name }) => name).join(', ')}`;
    throw new TableError('unknown target type', { line: number, target: type, hint });
  }
  const { readOnly = false, direct = false, devices = {}, provider, engine, nbd } = options;
  const { clock = systemClock, reserve = 16, onEvent: notify = () => {}, keys = {}, inlineBytes = 0 } = options;
  const memory: MemoryPolicy = { ...ownMemory, ...options.memory };
  const crypto = { ...(provider && { provider }), ...(engine && { engine }) };
  const below = new Map<string, BlockDevice>();
  const openDevice = async (spec: string, argument: number): Promise<BlockDevice> => {
    const isNamed = Object.hasOwn(devices, spec);
    const backing = () => opened.get(spec) ?? openBacking(spec, argument, { readOnly, direct, clock, ...nbd });
    const opening = isNamed ? Promise.resolve(named(devices[spec]!, spec)) : backing();
    if (!isNamed) opened.set(spec, opening);
    const device = await opening;
    below.set(spec, device);
    return device;
  };
  const pools = new Map<string, Mempool<unknown>>();
  const makeKnown: MakeMempool = (kind, options) => {
    const pool = memory.makeMempool(kind, options);
    pools.set(kind, pool as Mempool<unknown>);
    return pool;
  };
  let target: Target | undefined;
  try {
    target = await found.ctr(args, {
      start,
      length,
      readOnly,
      clock,
      crypto,
      inlineBytes,
      keys,
      reserve,
      ...memory,
      makeMempool: makeKnown,
      notify,
      openDevice,
    });
    const blockSectors = (target.blockSize ?? sectorSize) / sectorSize;
    if (start % blockSectors !== 0 || length % blockSectors !== 0)
      throw new TableError('not aligned to h/w logical block size', { hint: `logical block size ${target.blockSize}` });
    // Not the line's arguments: a key may be among them, which outlives no `key wipe`.
    return { start, length, type, target, pools, devices: below };
  } catch (error) {
    await target?.close?.();
    throw error instanceof TableError ? error.at(number, type) : error;
  }
}

async function openBacking(
  spec: string,
  argument: number,
  options: FileDeviceOptions & NbdDeviceOptions,
): Promise<BlockDevice> {
  if (spec.startsWith('ram:')) return RamDevice.open(spec, argument);
  if (isNbdUri(spec)) return NbdDevice.open(spec, argument, options);
  return FileDevice.open(spec, argument, options);
}

/** The same device under the name that the table gives it, for the table to be formatted again. */
export function named(device: BlockDevice, name: string): BlockDevice {
  const { sectors, blockSize, discards, discardsToZero = false } = device;
  return {
    sectors,
    blockSize,
    discards,
    discardsToZero,
    extent: (sector, most) => extentOf(device, sector, most),
    submit: (bio) => device.submit(bio),
    describe: () => name,
    ...(device.holdings && { holdings: () => device.holdings!() }),
    ...(device.report && { report: () => device.report!() }),
    close: async () => {},
  };
}
