import type { Clock } from './clock.js';
import { oneLine } from './one-line.js';

/** Lines in a minute. */
const most = 100;
const minute = 60_000;

/** Passes lines on, each as one line, but no flood of them: clients must not be able to fill a disk with what is said of them. */
export class LimitedLog {
  readonly #write: (line: string) => void;
  readonly #clock: Clock;
  #since = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(write: (line: string) => void, clock: Clock) {
    this.#write = write;
    this.#clock = clock;
  }

  line(text: string): void {
    const now = this.#clock.now();
    if (now - this.#since >= minute) {
      if (this.#count > most) this.#write(`${this.#count - most} more lines were left out`);
      this.#since = now;
      this.#count = 0;
    }
    if (this.#count++ < most) this.#write(oneLine(text));
  }
}
