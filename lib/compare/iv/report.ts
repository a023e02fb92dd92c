import { type ArmResult, armResult, hasSpeed, percentOf } from '../measure/arm-result.js';
import type { Omission } from '../measure/drivers.js';
import type { Environment } from '../measure/environment.js';
import type { Measurement } from '../measure/experiment.js';
import type { Spread } from '../measure/statistics.js';
import type { Method, Verdict } from '../measure/verdict.js';
import { hazardArm } from './arms.js';

/** An arm on a driver with requests of one size. */
export interface Cell extends ArmResult {
  driver: string;
  engine: 'sync' | 'lanes' | 'aio';
  /** This arm's rate against the unchained arm's in the same round, and the middle half of the rounds. Null where one of the two failed. */
  percentOfUnchained: number | null;
  percentSpread: Spread | null;
  /** Whether requests completed after their submission had returned. */
  asynchronous: boolean;
  /** AIO on a driver that would queue, and the kernel completed every request inside io_submit. */
  serialisedByKernel: boolean;
}

/** Whether two arms of the same driver and size differ. */
export interface Comparison extends Verdict {
  driver: string;
  bytes: number;
}

/** A figure from elsewhere to hold against this one. */
export interface Published {
  arms: string[];
  bytes: number;
  percent: number;
  source: string;
}

export interface IvReport {
  version: 1;
  experiment: 'iv';
  environment: Environment;
  method: Method;
  results: Cell[];
  comparisons: Comparison[];
  /** What is not there, and why. */
  omitted: Omission[];
  published: Published[];
  /** A sentence for each driver. */
  conclusions: { driver: string; text: string }[];
}

/** What is said of a cell that its measurement does not hold. */
export type CellHead = Pick<Cell, 'driver' | 'bytes' | 'engine'> & {
  /** AIO on a driver that would queue, of a kernel that was seen to complete inside io_submit. */
  serialised: boolean;
};

export function makeCell(head: CellHead, one: Measurement, unchained: Measurement): Cell {
  const { driver, bytes, engine, serialised } = head;
  const { percent, spread } = percentOf(one, unchained);
  const asynchronous = one.outcome.asynchronous > 0;
  // The hazard is there to go wrong: its rate is that of a driver that is used so.
  const isMeasured = hasSpeed(unchained.outcome) && (hasSpeed(one.outcome) || one.arm === hazardArm);
  return {
    ...armResult(one, bytes, one.arm === hazardArm),
    driver,
    engine,
    percentOfUnchained: isMeasured ? percent : null,
    percentSpread: isMeasured ? spread : null,
    asynchronous,
    serialisedByKernel: serialised && !asynchronous,
  };
}
