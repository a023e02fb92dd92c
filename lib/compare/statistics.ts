/** The value below which the share `q` of the sorted values lies; between two values, in proportion. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below]!;
  return low + (sorted[Math.min(below + 1, sorted.length - 1)]! - low) * (at - below);
}

const ascending = (values: Iterable<number>) => Float64Array.from(values).sort();

export function median(values: Iterable<number>): number {
  return quantile(ascending(values), 0.5);
}

/** The middle half of the values. */
export interface Spread {
  low: number;
  high: number;
}

export function spread(values: Iterable<number>): Spread {
  const sorted = ascending(values);
  return { low: quantile(sorted, 0.25), high: quantile(sorted, 0.75) };
}

/** Ranks from 1, doubled so that those of ties, which share the mean of theirs, are whole numbers. */
function doubledRanks(values: number[]): number[] {
  const order = values.map((_, index) => index).sort((a, b) => values[a]! - values[b]!);
  const ranks: number[] = [];
  for (let from = 0, to = 0; from < order.length; from = to) {
    while (to < order.length && values[order[to]!] === values[order[from]!]) to++;
    for (let at = from; at < to; at++) ranks[order[at]!] = from + to + 1;
  }
  return ranks;
}

/** How many of the 2^n choices of signs give each sum of the ranks with a plus. */
function signedRankCounts(doubled: number[]): Float64Array {
  const counts = new Float64Array(doubled.reduce((sum, rank) => sum + rank, 0) + 1);
  counts[0] = 1;
  let reached = 0;
  for (const rank of doubled) {
    reached += rank;
    for (let sum = reached; sum >= rank; sum--) counts[sum]! += counts[sum - rank]!;
  }
  return counts;
}

/**
 * Wilcoxon's signed-rank test, two-sided and exact also with ties: the probability of differences at least so lopsided
 * when plus and minus are equally likely. Differences of zero say nothing and are left out.
 */
export function signedRank(differences: number[]): number {
  const told = differences.filter((difference) => difference !== 0);
  if (told.length === 0) return 1;
  const ranks = doubledRanks(told.map(Math.abs));
  const plus = ranks.reduce((sum, rank, index) => sum + (told[index]! > 0 ? rank : 0), 0);
  const counts = signedRankCounts(ranks);
  const share = (from: number, to: number) =>
    counts.subarray(from, to).reduce((sum, count) => sum + count, 0) / 2 ** told.length;
  return Math.min(1, 2 * Math.min(share(0, plus + 1), share(plus, counts.length)));
}

export interface Ratio {
  /** How many times the second the first is. */
  ratio: number;
  /** The interval of 95 % confidence; with fewer than 6 pairs there is none, and it is all that was seen. */
  low: number;
  high: number;
  /** Of the signed-rank test. */
  p: number;
}

/** Compares paired values, first[i] and second[i] from the same round: Hodges and Lehmann's estimate, on logarithms. */
export function pairedRatio(first: number[], second: number[]): Ratio {
  const logs = first.map((value, index) => Math.log(value / second[index]!));
  const means = ascending(logs.flatMap((a, i) => logs.slice(i).map((b) => (a + b) / 2)));
  // Without ties the k smallest and the k largest means are outside, as many as the test would reject.
  const counts = signedRankCounts(logs.map((_, index) => index + 1));
  let k = 0;
  for (let sum = counts[0]!; sum / 2 ** logs.length <= 0.025; sum += counts[k]!) k++;
  const out = Math.max(0, k - 1);
  return {
    ratio: Math.exp(quantile(means, 0.5)),
    low: Math.exp(means[out]!),
    high: Math.exp(means[means.length - 1 - out]!),
    p: signedRank(logs),
  };
}

/** Holm's correction: the probabilities, as each counts when so many are looked at together. */
export function holm(probabilities: number[]): number[] {
  const order = probabilities.map((_, index) => index).sort((a, b) => probabilities[a]! - probabilities[b]!);
  const corrected: number[] = [];
  let least = 0;
  for (const [rank, index] of order.entries()) {
    least = Math.max(least, Math.min(1, probabilities[index]! * (order.length - rank)));
    corrected[index] = least;
  }
  return corrected;
}
