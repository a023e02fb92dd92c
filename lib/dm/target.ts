import type { Clock } from '../base/clock.js';
import type { MemoryUsage } from '../base/mempool.js';
import type { TfmOptions } from '../crypto/request/tfm.js';
import type { Bio } from './bio.js';
import type { Extent } from './extent.js';
import type { DeviceHoldings, MappedReport, TargetHoldings } from './holdings.js';
import type { MemoryPolicy } from './memory/memory-policy.js';

/** What bios are submitted to: a backing file, RAM, or a whole mapped device. */
export interface BlockDevice {
  readonly sectors: number;
  /** Bytes that a bio must be a multiple of (the logical block size): 512 to 4096. */
  readonly blockSize: number;
  readonly discards: boolean;
  /** What has been discarded reads as zeroes, for certain. */
  readonly discardsToZero?: boolean;
  /** What lies from a sector on, of at most so many, at least one. Where it cannot be told it is data. */
  extent?(sector: number, sectors: number): Extent;
  /** Takes the bio; it ends now or later, never by an exception. */
  submit(bio: Bio): void;
  /** How a table line names it. */
  describe(): string;
  /** What it holds; of a mapped device, all that its lines do. */
  holdings?(): DeviceHoldings;
  report?(): MappedReport;
  /** Waits for nothing: its users have no bios in flight. */
  close(): Promise<void>;
}

/** A piece of a mapped device: what a table line's constructor makes (struct dm_target). */
export interface Target {
  /** One flush bio is wanted for each flush of the device (num_flush_bios). */
  readonly flushes?: boolean;
  /** Discard bios are understood (num_discard_bios); without it the device has none. */
  readonly discards?: boolean;
  /** @see BlockDevice.discardsToZero */
  readonly discardsToZero?: boolean;
  /** @see BlockDevice.extent; sectors are counted from the target's start. */
  extent?(sector: number, sectors: number): Extent;
  /** Bytes that a bio must be a multiple of; default 512 (limits->logical_block_size). */
  readonly blockSize?: number;
  /** Longest read or write it wants in one bio, in sectors (max_io_len). */
  readonly maxSectors?: number;
  /** Takes a bio, with `sector` counted from the target's start; ends it now or later, never throws. */
  map(bio: Bio): void;
  /** The part of a `dmsetup status` or `dmsetup table` line after the target's type. Keys are zeroes without `showKeys`. */
  status(kind: 'info' | 'table', showKeys: boolean): string;
  /** `dmsetup message`. @throws DeviceError with the errno the kernel would answer */
  message?(argv: string[]): Promise<string | undefined>;
  /** What it holds for itself, its mempools' reserves above all. */
  memoryUsage?(): MemoryUsage;
  /** The same in detail, but for mempools that come from the context, which are known. */
  holdings?(): Partial<TargetHoldings>;
  /** Before the device waits for its bios in flight: give back what is held on purpose. */
  presuspend?(): void;
  postsuspend?(): void;
  /** May refuse to go on. @throws DeviceError */
  preresume?(): void;
  resume?(): void;
  /** Releases what the target itself made; the devices it opened through its context are closed by the table. */
  close?(): Promise<void> | void;
}

/** Whose crypto a target that needs some is to use, and what runs it. A driver is named in the table (`capi:`). */
export type CryptoOptions = Pick<TfmOptions, 'provider' | 'engine'>;

/** What a target tells the owner of its device: what the kernel has in its log, and does itself. */
export interface TargetEvent {
  /** A block is not what it should be; it was, and has been corrected; or it could not be read. */
  kind: 'corrupted' | 'corrected' | 'unreadable';
  /** Where it lies: among the data or in the hash tree. */
  area: 'data' | 'hash';
  /** Counted from the start of the device that it is on, in its blocks. */
  block: number;
  /** What becomes of the read: it succeeds, or it fails; and what the table says is to be done then, which is left to the owner. */
  action: 'none' | 'fail' | 'restart' | 'panic';
}

/** What a constructor knows besides its own arguments. */
export interface TargetContext extends Readonly<MemoryPolicy> {
  /** First sector of the target in its device, and its sectors. */
  readonly start: number;
  readonly length: number;
  readonly readOnly: boolean;
  readonly clock: Clock;
  readonly crypto: CryptoOptions;
  /** Reads of up to so many bytes are deciphered in the caller's thread, where lanes would do it. */
  readonly inlineBytes: number;
  /** Keys by '<type>:<description>', looked for before the kernel's keyring. */
  readonly keys: Readonly<Record<string, Uint8Array>>;
  /** Elements that each mempool of the target keeps for itself (dm-io's reserved_bio_based_ios). */
  readonly reserve: number;
  notify(event: TargetEvent): void;
  /**
   * Opens what a table line calls a device: a file, a block device, `ram:BYTES`, or one of the names given to `openTable`. The same
   * spelling is the same device within a table. @throws TableError `Device lookup failed`; `argument` is its place in `args`
   */
  openDevice(spec: string, argument: number): Promise<BlockDevice>;
}

/** A kind of target (struct target_type). */
export interface TargetType {
  readonly name: string;
  readonly version: readonly [number, number, number];
  /** Its devices can only be read, and have to be opened so. */
  readonly readOnly?: boolean;
  /** Makes the target of a table line. @throws TableError in the kernel's words (`ti->error`) */
  ctr(args: readonly string[], context: TargetContext): Promise<Target>;
}
