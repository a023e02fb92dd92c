import type { Invocation } from '../command.js';
import { integerOption } from '../option-values.js';

/** Minutes that all experiments together may take, if nothing else is said. */
export const allMinutes = 12;

/** How the lab's guest is told of the end: its clock is the host's. */
export const endVariable = 'DMALG_COMPARE_END';

/** When what is measured is to be there, in milliseconds since 1970; undefined: whenever it is. @throws CliError */
export function endOption(invocation: Invocation, experiment: string): number | undefined {
  const told = process.env[endVariable];
  if (told !== undefined) return Number(told);
  if (invocation.values.minutes === undefined && experiment !== 'all') return undefined;
  return Date.now() + 60_000 * integerOption(invocation, 'minutes', allMinutes, 1, 24 * 60);
}
