import { performance } from 'node:perf_hooks';
import type { Environment } from './measure/environment.js';

/** Whoever runs an experiment: hears how far it is, and may stop it. */
export interface Watch {
  /** Looked at after each run: stops then, and the report says what was measured, and what was not. An AbortSignal is one. */
  signal?: StopSignal | undefined;
  /** How long it may take, from the start: less is measured where it would take longer. Not to the second: see `limited`. */
  seconds?: number | undefined;
  /** Told what it runs on. */
  described?: (environment: Environment) => void;
  /** Text for the terminal, as soon as it is known: a table, a conclusion. */
  print?: (text: string) => void;
  /** How much there is to run, by estimate, then how much of it each run was, and of what. */
  planned?: (work: number) => void;
  ran?: (work: number, where: string) => void;
}

export interface StopSignal {
  readonly aborted: boolean;
}

/** Of something left out, why: it was stopped, or had no time left. */
export const stoppedBefore = 'the time was up, or it was stopped, before';

export const isOutOfTime = ({ reason }: { reason: string }): boolean => reason.startsWith(stoppedBefore);

/** The same watch, that stops what it watches after so many seconds. */
export function limited(watch: Watch, seconds: number): Watch {
  const end = performance.now() + seconds * 1000;
  // Not a timer: one is late while the thread is kept busy, and AbortSignal.any() loses those that nothing else refers to.
  const signal = {
    get aborted() {
      return watch.signal?.aborted === true || performance.now() >= end;
    },
  };
  return { ...watch, signal, seconds };
}
