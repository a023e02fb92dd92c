import { median } from '../../lib/compare/measure/statistics.js';

/**
 * Runs both in turn, after one run each to warm up. Prints microseconds of each, and how many times the peer's rate ours is: the median of
 * the pairs' ratios, with the smallest and the largest.
 */
export async function pair(
  what: string,
  ours: () => Promise<number>,
  peer: () => Promise<number>,
  rounds = 9,
): Promise<void> {
  await ours();
  await peer();
  const times: [number, number][] = [];
  for (let round = 0; round < rounds; round++) times.push([await ours(), await peer()]);
  const ratios = times.map(([mine, theirs]) => theirs / mine);
  const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
  const figures = `${median(times.map(([mine]) => mine)).toFixed(1)} us against ${median(times.map(([, theirs]) => theirs)).toFixed(1)} us`;
  process.stdout.write(
    `${what}: ${median(ratios).toFixed(2)} times the peer's rate (${low.toFixed(2)} to ${high.toFixed(2)}); ${figures}\n`,
  );
}
