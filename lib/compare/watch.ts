import type { Environment } from './measure/environment.js';

/** Whoever runs an experiment: hears how far it is, and may stop it. */
export interface Watch {
  /** Stops after what is on its way; the report then says what was measured. */
  signal?: AbortSignal | undefined;
  /** Told what it runs on. */
  described?: (environment: Environment) => void;
  /** Text for the terminal, as soon as it is known: a table, a conclusion. */
  print?: (text: string) => void;
  /** How much there is to run, by estimate, then how much of it each run was, and of what. */
  planned?: (work: number) => void;
  ran?: (work: number, where: string) => void;
}
