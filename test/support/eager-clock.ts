import type { Clock } from '../../lib/base/clock.js';

/** Time in which short waits are over at once, so that a test need not wait for pauses, and long ones, such as timeouts, never are. */
export class EagerClock implements Clock {
  #now = 0;

  /** Longest wait that is short, in milliseconds. */
  constructor(readonly longest: number) {}

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    if (ms > this.longest) return () => {};
    const immediate = setImmediate(() => {
      this.#now += ms;
      callback();
    });
    return () => clearImmediate(immediate);
  }
}
