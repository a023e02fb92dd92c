import { ChainError } from './chain-error.js';

/** Called exactly once for each request, never inside submit; `error` is an AlgError, or a ChainError after another's. */
export type ChainDone = (error: Error | null, bytes: number, asynchronous: boolean) => void;

interface Outcome {
  error: Error | null;
  bytes: number;
  asynchronous: boolean;
}

/** A request of a chain. */
export interface Item {
  index: number;
  src: Uint8Array;
  dst: Uint8Array;
  /** Its own IV, where it has one. */
  iv: Uint8Array | undefined;
  done: ChainDone;
  outcome: Outcome | undefined;
}

/** The way back: each request's completion to whoever submitted it, exactly once, at a time when that may be. */
export class Deliveries {
  /** Told after each delivery. */
  readonly #delivered: () => void;
  /** In order of submission: those of a series that is to be delivered as one. */
  readonly #series: Item[] = [];
  /** The first failure of the series among those delivered. */
  #hole: ChainError | undefined;
  #later: Item[] = [];
  #pending = 0;
  #idle: (() => void)[] = [];

  constructor(delivered: () => void) {
    this.#delivered = delivered;
  }

  /** Requests accepted whose completion has not been delivered. */
  get pending(): number {
    return this.#pending;
  }
  get hole(): ChainError | undefined {
    return this.#hole;
  }

  /** Counts a request in. `inSeries`: it will be delivered by inOrder(). */
  accept(item: Item, inSeries: boolean): void {
    this.#pending++;
    if (inSeries) this.#series.push(item);
  }

  async idle(): Promise<void> {
    while (this.#pending > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Delivers at once: only where no caller of submit is below on the stack. */
  now(item: Item, outcome: Outcome): void {
    this.#pending--;
    try {
      item.done(outcome.error, outcome.bytes, outcome.asynchronous);
    } catch (thrown) {
      // One callback's exception must not keep the others' completions from them.
      queueMicrotask(() => {
        throw thrown;
      });
    }
    this.#delivered();
    if (this.#pending === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  /** Delivers when the caller has returned. */
  later(item: Item, outcome: Outcome): void {
    item.outcome = outcome;
    if (this.#later.length === 0) queueMicrotask(() => this.flush());
    this.#later.push(item);
  }

  /** Delivers what was put off, where that is allowed now. */
  flush(): void {
    const items = this.#later;
    this.#later = [];
    for (const item of items) this.now(item, item.outcome!);
  }

  /** Delivers when all before it have been: a series is delivered as a series, and nothing of it after a hole. */
  inOrder(item: Item, outcome: Outcome): void {
    item.outcome = outcome;
    while (this.#series[0]?.outcome) {
      const first = this.#series.shift()!;
      const { bytes, asynchronous, error: own } = first.outcome!;
      const error = this.#hole ?? own;
      if (error) this.#hole ??= error instanceof ChainError ? error : new ChainError(first.index, error);
      this.later(first, { error, bytes: error ? 0 : bytes, asynchronous });
    }
  }
}
