import { createHash } from 'node:crypto';
import { seeded } from '../support/manual-engine.js';

/** Of this run: SEED=N makes its choices again. */
export const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
/** Seconds that the timed tests may take together, on a machine of whatever speed. */
const seconds = Number(process.env['HARD_SECONDS'] ?? 900);

process.stdout.write(`SEED=${seed} HARD_SECONDS=${seconds}\n`);
afterEach(function () {
  if (this.currentTest?.state === 'failed') process.stdout.write(`SEED=${seed} HARD_SECONDS=${seconds}\n`);
});

/** Numbers from 0 up to 1 for one use of them, which does not depend on what else is run. */
export function draws(use: string): () => number {
  return seeded(createHash('sha256').update(`${seed} ${use}`).digest().readUInt32LE());
}

export function oneOf<T>(choices: readonly T[], draw: () => number): T {
  return choices[Math.floor(draw() * choices.length)]!;
}

/** 1 to `count`, in some order. */
export function shuffled(count: number, draw: () => number): number[] {
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  for (let at = count - 1; at > 0; at--) {
    const other = Math.floor(draw() * (at + 1));
    [numbers[at], numbers[other]] = [numbers[other]!, numbers[at]!];
  }
  return numbers;
}

/** Tells whether this part of the time is over; it begins now. */
export function deadline(part: number): () => boolean {
  const end = Date.now() + seconds * 1000 * part;
  return () => Date.now() > end;
}
