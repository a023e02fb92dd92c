import type { Clock } from '../../base/clock.js';
import type { Budget } from './budget.js';
import type { BufferPool } from './buffer-pool.js';

/** What all connections of a server share. */
export interface Resources {
  readonly budget: Budget;
  readonly buffers: BufferPool;
  readonly clock: Clock;
  /** Hears a line about what the server's owner should know. */
  log(line: string): void;
}
