import type { LeftOut, PublishedFigure } from '../measure/group.js';
import type { Pairs } from '../measure/verdict.js';
import { Chain, Directly, PerUnit, WholeBio } from './carriers.js';

/** 'inline': the caller's thread. 'one lane': a queue and nothing else. 'all lanes': as many as there are processors. */
export type Queue = 'inline' | 'one lane' | 'all lanes';

export interface UnitsArm {
  name: string;
  /** In a line. */
  what: string;
  queue: Queue;
  how: typeof PerUnit | typeof Chain | typeof WholeBio | typeof Directly;
}

/** The first is the base. */
export const unitsArms: readonly UnitsArm[] = [
  { name: 'per unit', what: 'a request for each unit', queue: 'inline', how: PerUnit },
  { name: 'chain', what: 'all requests built first, then run one by one', queue: 'inline', how: Chain },
  { name: 'whole bio', what: 'the bio handed down, cut at the bottom', queue: 'inline', how: WholeBio },
  { name: 'node:crypto', what: 'node:crypto, unit by unit', queue: 'inline', how: Directly },
  { name: 'per unit, one lane', what: 'all of them in flight on a worker thread', queue: 'one lane', how: PerUnit },
  { name: 'chain, one lane', what: 'each submitted when the one before completes', queue: 'one lane', how: Chain },
  { name: 'whole bio, one lane', what: 'one request on a worker thread', queue: 'one lane', how: WholeBio },
  { name: 'per unit, all lanes', what: 'the requests over all processors', queue: 'all lanes', how: PerUnit },
  {
    name: 'whole bio, all lanes',
    what: 'one request, its units over all processors',
    queue: 'all lanes',
    how: WholeBio,
  },
];

/** Bios in flight: with a queue the caller makes the next one ready while one is worked on. */
export const bioDepth: Record<Queue, number> = { inline: 1, 'one lane': 2, 'all lanes': 2 };

/** Who is held against whom: [arm, against]. */
export const unitsPairs: Pairs = [
  ['chain', 'per unit'],
  ['whole bio', 'per unit'],
  ['node:crypto', 'per unit'],
  ['node:crypto', 'whole bio'],
  ['per unit, one lane', 'per unit'],
  ['chain, one lane', 'chain'],
  ['whole bio, one lane', 'whole bio'],
  ['chain, one lane', 'per unit, one lane'],
  ['whole bio, one lane', 'per unit, one lane'],
  ['whole bio, all lanes', 'whole bio, one lane'],
];

/** Arms that there are not, anywhere. */
export const unitsLeftOut: readonly LeftOut[] = [
  {
    arm: 'node:crypto, one lane',
    reason:
      "node:crypto runs ciphers and hashes in the caller's thread; WebCrypto, which has threads, has no XTS and takes no message in parts",
  },
  {
    arm: 'AIO as the queue',
    reason:
      'the kernel does not tell when the crypto of an IOCB began and ended, so the parts of its time are not known',
  },
];

const source = 'Xu 2025: H. Xu on linux-crypto, 2025-03-30, xts-vaes, 8 GB over ext4 on tmpfs';

/** `group`: where the figures' like is. */
export const unitsPublished = (group: string): PublishedFigure[] => [
  { what: 'work queue', value: 2.4, unit: 's', group, arm: 'per unit, one lane', source },
  { what: 'inline', value: 2.5, unit: 's', group, arm: 'per unit', source },
  { what: 'gain from chaining', value: 0, unit: '%', group, arm: 'chain', source },
  { what: 'whole bio', value: 2.1, unit: 's', group, arm: 'whole bio', source },
];
