import type { Pairs } from '../measure/verdict.js';
import type { Published } from './report.js';
import type { IvArm } from './trial.js';

const common = { depth: 1, engine: 'queue', direction: 'encrypt', needsAio: false } as const;

/** The ways to queue requests that depend on each other through their IV, and the one without such a dependency. */
export const ivArms: readonly IvArm[] = [
  { ...common, name: 'unchained', what: 'independent, each its own IV, 16 in flight', mode: 'inline', depth: 16 },
  { ...common, name: 'mutex', what: 'send, receive, then the next, from user space', mode: 'mutex', engine: 'sync' },
  {
    ...common,
    name: 'mutex-aio',
    what: 'AIO; the next is built when the one before has completed',
    mode: 'mutex',
    needsAio: true,
  },
  { ...common, name: 'staged-1', what: 'the data of the next request is in its socket already', mode: 'staged' },
  {
    ...common,
    name: 'staged-8',
    what: 'the data of the next 8 requests is in their sockets',
    mode: 'staged',
    depth: 8,
  },
  { ...common, name: 'socket', what: 'one socket carries the IV from request to request', mode: 'socket' },
  {
    ...common,
    name: 'unchained-decrypt',
    what: 'decryption, independent, each its own IV, 16 in flight',
    mode: 'inline',
    depth: 16,
    direction: 'decrypt',
  },
  {
    ...common,
    name: 'resolved',
    what: 'decryption: the IVs are in the input, so 16 in flight',
    mode: 'resolved',
    depth: 16,
    direction: 'decrypt',
  },
  {
    ...common,
    name: 'hazard',
    what: 'the next IV set while the socket is busy: what goes wrong',
    mode: 'hazard',
    needsAio: true,
  },
];

/** The arm that is 100 %. */
export const baseArm = 'unchained';

/** What an arm is held against: the same direction without chaining. */
export function baseOf({ direction }: Pick<IvArm, 'direction'>): string {
  return direction === 'decrypt' ? 'unchained-decrypt' : baseArm;
}

/** The arm whose outputs are not expected to be right. */
export const hazardArm = 'hazard';

/** Who is held against whom: [arm, against]. */
export const ivPairs: Pairs = [
  ['staged-1', 'mutex-aio'],
  ['staged-8', 'mutex-aio'],
  ['staged-8', 'mutex'],
  ['staged-8', 'staged-1'],
  ['mutex-aio', 'mutex'],
  ['socket', 'mutex-aio'],
  ['mutex', 'unchained'],
  ['mutex-aio', 'unchained'],
  ['staged-1', 'unchained'],
  ['staged-8', 'unchained'],
  ['socket', 'unchained'],
  ['resolved', 'unchained-decrypt'],
];

const source = 'Cameron 2018: J. Cameron on linux-crypto, 2018-02-01, 8 KiB CBC on real hardware';

export const ivPublished: readonly Published[] = [
  { arms: ['mutex', 'mutex-aio'], bytes: 8192, percent: 30, source: `${source}, held outside the kernel` },
  { arms: ['staged-1', 'staged-8'], bytes: 8192, percent: 50, source: `${source}, queued in the driver` },
];
