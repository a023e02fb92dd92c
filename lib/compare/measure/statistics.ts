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

const total = (values: ArrayLike<number>) => Array.prototype.reduce.call(values, (sum, x) => sum + x, 0) as number;

/** The normal distribution, to 7 digits: Abramowitz and Stegun 7.1.26, for the upper tail. */
function upperTail(z: number): number {
  const t = 1 / (1 + (0.3275911 * z) / Math.SQRT2);
  const polynomial = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return 0.5 * polynomial * Math.exp((-z * z) / 2);
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

/** The probability of a value of Student's t, with so many degrees of freedom, at least so far from zero. */
export function studentP(t: number, freedom: number): number {
  return incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5);
}

/** What Student's t is beyond, on either side, with 5 % probability: found by halving. */
export function studentQuantile(freedom: number, probability = 0.05): number {
  let [low, high] = [0, 1000];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (studentP(middle, freedom) > probability) low = middle;
    else high = middle;
  }
  return high;
}

/** The regularised incomplete beta function, by Lentz's continued fraction (Abramowitz and Stegun 26.5.8). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
  let [c, d, fraction] = [1, 0, 1];
  for (let i = 0; i < 300; i++) {
    const m = Math.floor(i / 2);
    const numerator =
      i === 0
        ? 1
        : i % 2 === 0
          ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
          : -((a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + numerator * d || Number.MIN_VALUE);
    c = 1 + numerator / c || Number.MIN_VALUE;
    fraction *= c * d;
    if (Math.abs(1 - c * d) < 1e-12) break;
  }
  return front * (fraction - 1);
}

/** Lanczos's approximation. */
function logGamma(x: number): number {
  const coefficients = [
    76.18009172947146, -86.50532032941678, 24.01409824083091, -1.231739572450155, 0.001208650973866179,
    -0.000005395239384953,
  ];
  const base = x + 5.5 - (x + 0.5) * Math.log(x + 5.5);
  const series = coefficients.reduce((sum, each, index) => sum + each / (x + 1 + index), 1.000000000190015);
  return -base + Math.log((2.5066282746310007 * series) / x);
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
