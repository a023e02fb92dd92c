import { performance } from 'node:perf_hooks';

/** Time for several pieces of work, one after the other: what one leaves over, or takes too much, is shared by those behind it. */
export class TimeBudget {
  readonly #end: number;
  #weight: number;

  /** So many seconds from now on, for pieces that weigh so much together. */
  constructor(seconds: number, weight: number) {
    this.#end = performance.now() + seconds * 1000;
    this.#weight = weight;
  }

  /** Seconds for the next piece, which weighs so much: 0 when there are none left. */
  next(weight = 1): number {
    const left = Math.max(0, this.#end - performance.now()) / 1000;
    const share = Math.min(1, weight / this.#weight);
    this.#weight -= weight;
    return left * share;
  }
}
