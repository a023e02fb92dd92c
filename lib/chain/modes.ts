import type { Direction, IvRule } from '../crypto/request/iv.js';
import type { Tfm } from '../crypto/request/tfm.js';

export type ChainMode = 'inline' | 'mutex' | 'staged' | 'socket' | 'resolved';

/** What a mode does. */
export interface ModeRow {
  /** Op sockets. */
  slots(depth: number): number;
  /** Each request brings its own IV, and no other depends on it. */
  ownIvs: boolean;
  /** IVs are known at submission: as many run as there are slots. Otherwise one runs at a time. */
  parallel: boolean;
  /** The data of the next requests goes into their slots ahead of their IVs. */
  stages: boolean;
  /** The socket carries the IV from the first request on. */
  carried: boolean;
  /** Why this mode cannot be, if it cannot. */
  refusal(tfm: Tfm, rule: IvRule | undefined, direction: Direction): string | undefined;
}

const one = { slots: () => 1, ownIvs: false, parallel: false, stages: false, carried: false };
const many = { ...one, slots: (depth: number) => depth, parallel: true };

const needsRule = ({ name }: Tfm, rule: IvRule | undefined) =>
  rule ? undefined : `expects a cipher whose next IV follows from its data, ${name} is none`;

export const modeRows: Record<ChainMode, ModeRow> = {
  inline: { ...many, ownIvs: true, refusal: () => undefined },
  mutex: { ...one, refusal: needsRule },
  // One runs, and `depth` wait behind it.
  staged: { ...one, slots: (depth) => depth + 1, stages: true, refusal: needsRule },
  socket: {
    ...one,
    carried: true,
    refusal: (tfm) => (tfm.carriesIv() ? undefined : `expects an IV carried on the socket, ${tfm.name} has none`),
  },
  resolved: {
    ...many,
    refusal: ({ name }, rule, direction) =>
      rule?.known(direction) ? undefined : `expects IVs known in advance, those of ${name} for ${direction}ion are not`,
  },
};
export const chainModes = Object.keys(modeRows) as readonly ChainMode[];
