import type { Clock } from '../../lib/base/clock.js';

/** Time that passes when the test says so. */
export class ManualClock implements Clock {
  #now = 0;
  #timers = new Map<() => void, number>();

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    this.#timers.set(callback, this.#now + ms);
    return () => this.#timers.delete(callback);
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Lets this much time pass, and calls whose time has come, the earliest first. */
  pass(ms: number): void {
    this.#now += ms;
    const due = [...this.#timers].filter(([, at]) => at <= this.#now).sort(([, a], [, b]) => a - b);
    for (const [callback] of due) {
      this.#timers.delete(callback);
      callback();
    }
  }
}
