import { channel } from 'node:diagnostics_channel';
import { debuglog } from 'node:util';
import { withoutKeys } from './without-keys.js';

/**
 * What can be watched from outside: the channels of node:diagnostics_channel, and the lines of NODE_DEBUG=dmalg. In none of it are data, IVs or keys.
 * Without a subscriber it costs one look at `hasSubscribers`; docs/observability.md is the page for users.
 */

/** A request or a batch that has ended, on `dmalg:request`: once for each. */
export interface RequestEvent {
  type: 'hash' | 'skcipher' | 'aead' | 'rng';
  /** The algorithm as it was asked for, and whose it is. */
  alg: string;
  provider: 'kernel' | 'library';
  /** 'encrypt' for what has none (hashes, random bytes). */
  direction: 'encrypt' | 'decrypt';
  /** Bytes that went in; of random bytes, that were asked for. */
  bytes: number;
  /** Equal units of it: 1 of a request, the sectors or blocks of a batch. */
  units: number;
  /** 'sync', 'lanes', 'aio', or the name of an engine of the caller's. */
  engine: string;
  /** It completed after its submission had returned (AIO) or on another thread (lanes). */
  asynchronous: boolean;
  /** Nanoseconds from submission to completion, what it waited in a backlog included. */
  duration: number;
  /** Name of the errno, or null; of a batch that of the first unit that failed. */
  error: string | null;
}

/** A bio that has ended, on `dmalg:bio`: once for each that a target was given, and for each that none was, since there is none for it. */
export interface BioEvent {
  /** Number of the device in this process, as in the lines of NODE_DEBUG. */
  device: number;
  /** The target's name; null where the device refused the bio. */
  target: string | null;
  op: 'read' | 'write' | 'flush' | 'discard';
  /** From the start of the device, in 512 bytes. */
  sector: number;
  sectors: number;
  bytes: number;
  fua: boolean;
  /** It ended after the target's map() had returned. */
  asynchronous: boolean;
  /** Nanoseconds from map() to its end. */
  duration: number;
  /** Name of the errno, or null; and the sectors of the device that failed. */
  error: string | null;
  failed: { sector: number; sectors: number }[];
}

/** A block that is not what its digest says, or cannot be read, on `dmalg:corruption`: once each time that it is met. */
export interface CorruptionEvent {
  kind: 'corrupted' | 'unreadable' | 'spare';
  area: 'data' | 'hash';
  /** Of a hash block: 0 is the level above the data. Of a data block -1. */
  level: number;
  /** Counted from the start of its device or file, in its area's blocks. */
  block: number;
  /** The device as a table prints it, or the file. */
  device: string;
  /**
   * What became of it: 'reread' - a second look found the right bytes; 'corrected' - by FEC; 'ignored' - its bytes were used; 'failed' - the read did;
   * 'restart', 'panic' - and so does the table ask; 'reported' - verifyVerity found it.
   */
  outcome: 'reread' | 'corrected' | 'ignored' | 'failed' | 'restart' | 'panic' | 'reported';
}

/** A block that was given out right though it had been read wrong, on `dmalg:correction`: beside its CorruptionEvent. */
export interface CorrectionEvent extends Pick<CorruptionEvent, 'area' | 'level' | 'block' | 'device'> {
  by: 'fec' | 'reread';
}

/** An engine's backlog, on `dmalg:backlog`: when something has to wait for the first time, and when nothing waits any more. */
export interface BacklogEvent {
  state: 'begin' | 'end';
  engine: string;
  /** What the engine has in flight at most. */
  depth: number;
  /** Requests that wait; at the end, the most that did. */
  held: number;
  /** Nanoseconds since the beginning. */
  duration: number;
}

export const requestChannel = channel('dmalg:request');
export const bioChannel = channel('dmalg:bio');
const corruptionChannel = channel('dmalg:corruption');
const correctionChannel = channel('dmalg:correction');
const backlogChannel = channel('dmalg:backlog');
const log = debuglog('dmalg');

/** Whether anybody would hear of a backlog. */
export function isBacklogWatched(): boolean {
  return backlogChannel.hasSubscribers || log.enabled;
}

/** A line on stderr for who has set NODE_DEBUG=dmalg; nobody else has it made. */
export function debug(line: () => string): void {
  if (log.enabled) log('%s', withoutKeys(line()));
}

export function tellRequest(event: RequestEvent): void {
  requestChannel.publish(event);
}

export function tellBio(event: BioEvent): void {
  bioChannel.publish(event);
}

export function tellCorruption(event: CorruptionEvent): void {
  if (corruptionChannel.hasSubscribers) corruptionChannel.publish(event);
  debug(() => `${event.kind}: ${place(event)}: ${event.outcome}`);
}

export function tellCorrection(event: CorrectionEvent): void {
  if (correctionChannel.hasSubscribers) correctionChannel.publish(event);
  debug(() => `corrected: ${place(event)}: by ${event.by === 'fec' ? 'FEC' : 'a second look'}`);
}

export function tellBacklog(event: BacklogEvent): void {
  if (backlogChannel.hasSubscribers) backlogChannel.publish(event);
  debug(() =>
    event.state === 'begin'
      ? `backlog: begins, engine ${event.engine} has ${event.depth} in flight`
      : `backlog: ends, at most ${event.held} waited, for ${Math.round(event.duration / 1000)} us in all`,
  );
}

function place({ device, area, level, block }: CorrectionEvent | CorruptionEvent): string {
  return `${device}: ${area} block ${block}${area === 'hash' ? ` of level ${level}` : ''}`;
}

/** Nanoseconds since a look at the clock. */
export function since(start: bigint): number {
  return Number(process.hrtime.bigint() - start);
}
