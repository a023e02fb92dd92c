import type { Answer, Done, Engine, Work } from '../../lib/crypto/engine/engine.js';

/** An engine whose completions the test makes, in the order it likes. Real results, unless the test says otherwise. */
export class ManualEngine implements Engine {
  readonly name = 'manual';
  readonly depth: number = 1024;
  /** In flight, in the order of submission. */
  readonly flying: { work: Work; done: Done }[] = [];
  submitted = 0;

  submit(work: Work, done: Done): Answer {
    this.submitted++;
    this.flying.push({ work, done });
    return 'in progress';
  }
  room(): Promise<void> {
    return Promise.resolve();
  }
  close(): void {}

  /** Completes what is in flight at this place, with its real result or the one given (-errno). */
  complete(place: number, result?: number): void {
    const [{ work, done }] = this.flying.splice(place, 1) as [{ work: Work; done: Done }];
    const outcome = result ?? work.execute();
    work.result = outcome;
    done(outcome, true);
  }
}

/** All orders of 0..n-1. */
export function permutations(n: number): number[][] {
  if (n === 0) return [[]];
  return permutations(n - 1).flatMap((rest) =>
    Array.from({ length: n }, (_, place) => [...rest.slice(0, place), n - 1, ...rest.slice(place)]),
  );
}

/** A small seeded generator (mulberry32): numbers from 0 up to 1. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
