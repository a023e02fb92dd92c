import type { Markup } from './markup.js';

/** What a page says of an experiment, in the order in which it is read. */
export interface Section {
  conclusions: string[];
  /** Charts, and under them the tables. */
  body: Markup;
  /** What was not measured, and why. */
  leftOut: string[];
}
