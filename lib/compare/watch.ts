import type { Environment } from './measure/environment.js';

/** Whoever runs an experiment: hears how far it is, and may stop it. */
export interface Watch {
  /** Stops after what is on its way; the report then says what was measured, and what was not. */
  signal?: AbortSignal | undefined;
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

/** Of something left out, why: it was stopped, or had no time left. */
export const stoppedBefore = 'the time was up, or it was stopped, before';

export const isOutOfTime = ({ reason }: { reason: string }): boolean => reason.startsWith(stoppedBefore);

/** The same watch, that stops what it watches after so many seconds. */
export function limited(watch: Watch, seconds: number): Watch {
  const timeUp = AbortSignal.timeout(Math.max(1, Math.round(seconds * 1000)));
  const signal = watch.signal ? AbortSignal.any([watch.signal, timeUp]) : timeUp;
  return { ...watch, signal, seconds };
}
