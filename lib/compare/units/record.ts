import { monotonic } from '../../base/monotonic.js';
import type { Work } from '../../crypto/engine/engine.js';
import { unitsPerBio } from './work.js';

/** Pieces of time, in microseconds. */
class Intervals {
  readonly #from: Float64Array;
  readonly #to: Float64Array;
  count = 0;

  constructor(most: number) {
    this.#from = new Float64Array(most);
    this.#to = new Float64Array(most);
  }
  add(from: number, to: number): void {
    if (to <= from) return;
    this.#from[this.count] = from;
    this.#to[this.count++] = to;
  }
  list(): (readonly [number, number])[] {
    return Array.from({ length: this.count }, (_, index) => [this.#from[index]!, this.#to[index]!] as const);
  }
}

/** The parts of a bio's time; they add up to it. */
export interface Split {
  /** Building and handing over, while no crypto runs. */
  submit: number;
  /** Waiting for the lane, while neither of these is done. */
  queue: number;
  /** From the beginning of a request to its end, whatever else is done meanwhile. */
  crypto: number;
  /** The rest: until JavaScript knows, for the most part. */
  completion: number;
}

/** What happened to a bio, and when: microseconds of monotonic(). */
export class BioRecord {
  begin = 0;
  end = 0;
  error: Error | undefined;
  asynchronous = false;
  readonly #building = new Intervals(unitsPerBio + 1);
  readonly #waiting = new Intervals(unitsPerBio);
  readonly #crypto = new Intervals(unitsPerBio);
  readonly #handed = new Float64Array(unitsPerBio);

  start(): void {
    this.error = undefined;
    this.asynchronous = false;
    for (const each of [this.#building, this.#waiting, this.#crypto]) each.count = 0;
    this.begin = monotonic();
  }

  /** A request has been built since `from`, and is not handed over yet. */
  built(from: number): void {
    this.#building.add(from, monotonic());
  }
  /** The request at `place` was built and given to its lane since `from`. */
  handed(place: number, from: number): void {
    const now = monotonic();
    this.#building.add(from, now);
    this.#handed[place] = now;
  }
  /** A request that was built since `from` ran inline. */
  ran(from: number, began: number, ended: number): void {
    this.#building.add(from, began);
    this.#crypto.add(began, ended);
  }
  /** The request that was handed over at `place` is complete. */
  completed(place: number, { began, ended }: Work): void {
    this.asynchronous = true;
    this.#waiting.add(this.#handed[place]!, began);
    this.#crypto.add(began, ended);
  }

  /** What a moment counts for that belongs to several: crypto before submit before queue. */
  split(): Split {
    const [crypto, building, waiting] = [this.#crypto.list(), this.#building.list(), this.#waiting.list()];
    const inCrypto = this.#covered(crypto);
    const busy = this.#covered([...crypto, ...building]);
    const known = this.#covered([...crypto, ...building, ...waiting]);
    return {
      submit: busy - inCrypto,
      queue: known - busy,
      crypto: inCrypto,
      completion: this.end - this.begin - known,
    };
  }

  /** How much of the bio's time lies in at least one of the intervals. */
  #covered(intervals: (readonly [number, number])[]): number {
    let sum = 0;
    let upTo = this.begin;
    for (const [from, to] of intervals.sort(([a], [b]) => a - b)) {
      const end = Math.min(to, this.end);
      if (end <= upTo) continue;
      sum += end - Math.max(from, upTo);
      upTo = end;
    }
    return sum;
  }
}
