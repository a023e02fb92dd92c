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

/** Above so many values in both samples together, the exact distribution takes too long, and the normal one is as good. */
const exactLimit = 60;

/** How many choices of `size` of the ranks give each sum. */
function rankSumCounts(ranks: number[], size: number): Float64Array {
  const highest = [...ranks]
    .sort((a, b) => b - a)
    .slice(0, size)
    .reduce((sum, rank) => sum + rank, 0);
  const counts = Array.from({ length: size + 1 }, () => new Float64Array(highest + 1));
  counts[0]![0] = 1;
  for (const rank of ranks)
    for (let chosen = size; chosen > 0; chosen--) {
      const fewer = counts[chosen - 1]!;
      const more = counts[chosen]!;
      for (let sum = highest; sum >= rank; sum--) more[sum]! += fewer[sum - rank]!;
    }
  return counts[size]!;
}

const total = (values: ArrayLike<number>) => Array.prototype.reduce.call(values, (sum, x) => sum + x, 0) as number;

/** The normal distribution, to 7 digits: Abramowitz and Stegun 7.1.26, for the upper tail. */
function upperTail(z: number): number {
  const t = 1 / (1 + (0.3275911 * z) / Math.SQRT2);
  const polynomial = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return 0.5 * polynomial * Math.exp((-z * z) / 2);
}

/**
 * The test of Wilcoxon, Mann and Whitney, two-sided: the probability of two samples at least so far apart when both come
 * from the same distribution. Exact, also with ties, for up to 60 values; beyond that by the normal distribution.
 */
export function rankSum(first: number[], second: number[]): number {
  const ranks = doubledRanks([...first, ...second]);
  const sum = total(ranks.slice(0, first.length));
  if (ranks.length > exactLimit) {
    const mean = total(ranks) / ranks.length;
    const variance = total(ranks.map((rank) => (rank - mean) ** 2)) / (ranks.length - 1) / ranks.length;
    const spread = Math.sqrt(variance * first.length * second.length);
    // Half a rank, which is one of the doubled ones, towards the mean.
    return Math.min(1, 2 * upperTail(Math.max(0, Math.abs(sum - first.length * mean) - 1) / (spread || 1)));
  }
  const counts = rankSumCounts(ranks, first.length);
  const all = total(counts);
  return Math.min(1, (2 * Math.min(total(counts.subarray(0, sum + 1)), total(counts.subarray(sum)))) / all);
}

export interface Ratio {
  /** How many times the second the first is. */
  ratio: number;
  /** The interval of 95 % confidence; with too few values there is none, and it is all that was seen. */
  low: number;
  high: number;
  /** Of the test that belongs to the interval. */
  p: number;
}

/** How many of the sorted pairs, at either end, are outside of the interval of 95 % confidence. */
function pairsOutside(n: number, m: number): number {
  if (n + m > exactLimit) return Math.max(0, Math.floor((n * m) / 2 - 1.96 * Math.sqrt((n * m * (n + m + 1)) / 12)));
  const counts = rankSumCounts(
    Array.from({ length: n + m }, (_, index) => index + 1),
    n,
  );
  const limit = 0.025 * total(counts);
  let outside = 0;
  for (let u = 0, sum = counts[(n * (n + 1)) / 2]!; sum <= limit; sum += counts[(n * (n + 1)) / 2 + ++u]!) outside = u;
  return outside;
}

/** Compares two samples that nothing pairs: Hodges and Lehmann's estimate of how far apart they are, on logarithms. */
export function compareSamples(first: number[], second: number[]): Ratio {
  const logs = ascending(first.flatMap((a) => second.map((b) => Math.log(a / b))));
  const outside = pairsOutside(first.length, second.length);
  return {
    ratio: Math.exp(quantile(logs, 0.5)),
    low: Math.exp(logs[outside]!),
    high: Math.exp(logs[logs.length - 1 - outside]!),
    p: rankSum(first, second),
  };
}

/** Above so many rounds the exact distribution of signed ranks takes too long, and the normal one is as good. */
const exactRounds = 200;

/** How many choices of signs give each sum of the ranks that have a plus. */
function signedSumCounts(ranks: ArrayLike<number>): Float64Array {
  const highest = total(ranks);
  const counts = new Float64Array(highest + 1);
  counts[0] = 1;
  for (let at = 0; at < ranks.length; at++)
    for (let sum = highest; sum >= ranks[at]!; sum--) counts[sum]! += counts[sum - ranks[at]!]!;
  return counts;
}

/**
 * Wilcoxon's signed-rank test, two-sided: the probability of differences at least so far from zero when each is as likely with the
 * other sign. Exact, also with ties, for up to 200 differences; those that are zero do not count.
 */
export function signedRank(differences: readonly number[]): number {
  const signed = differences.filter((difference) => difference !== 0);
  const ranks = doubledRanks(signed.map(Math.abs));
  const plus = ranks.reduce((sum, rank, at) => (signed[at]! > 0 ? sum + rank : sum), 0);
  if (ranks.length > exactRounds) {
    const spread = Math.sqrt(total(ranks.map((rank) => rank * rank)) / 4);
    return Math.min(1, 2 * upperTail(Math.max(0, Math.abs(plus - total(ranks) / 2) - 1) / spread));
  }
  const counts = signedSumCounts(ranks);
  return Math.min(
    1,
    (2 * Math.min(total(counts.subarray(0, plus + 1)), total(counts.subarray(plus)))) / 2 ** ranks.length,
  );
}

/** How many of the sorted means of two differences, at either end, are outside of the interval of 95 % confidence; undefined: there is none. */
function meansOutside(n: number): number | undefined {
  if (n > exactRounds) return Math.floor((n * (n + 1)) / 4 - 1.96 * Math.sqrt((n * (n + 1) * (2 * n + 1)) / 24));
  const counts = signedSumCounts(Array.from({ length: n }, (_, index) => index + 1));
  const limit = 0.025 * 2 ** n;
  let outside = 0;
  for (let sum = counts[0]!; sum <= limit; sum += counts[outside]!) outside++;
  return outside === 0 ? undefined : outside - 1;
}

/**
 * Compares two arms by the rounds that both were in: Hodges and Lehmann's estimate, which is the median of the means of two rounds, on
 * logarithms of the ratio within a round. What the machine does to a whole round counts for neither.
 */
export function compareRounds(first: readonly number[], second: readonly number[]): Ratio {
  const differences = first.map((value, round) => Math.log(value / second[round]!));
  const means = ascending(differences.flatMap((one, at) => differences.slice(at).map((other) => (one + other) / 2)));
  const outside = meansOutside(differences.length) ?? 0;
  return {
    ratio: Math.exp(quantile(means, 0.5)),
    low: Math.exp(means[outside]!),
    high: Math.exp(means[means.length - 1 - outside]!),
    p: signedRank(differences),
  };
}

/** The fewest rounds with which the signed-rank test can show a difference, where so many pairs are compared (Holm). */
export function roundsToShow(pairs: number, alpha: number): number {
  return Math.ceil(Math.log2((2 * Math.max(1, pairs)) / alpha));
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
