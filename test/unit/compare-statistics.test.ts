import { expect } from 'chai';
import {
  compareRounds,
  compareSamples,
  holm,
  median,
  quantile,
  rankSum,
  roundsToShow,
  signedRank,
  spread,
} from '../../lib/compare/measure/statistics.js';
import { judge } from '../../lib/compare/measure/verdict.js';
import { seeded } from '../support/manual-engine.js';

describe('statistics', () => {
  it('quantiles lie between values in proportion', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).to.equal(2.5);
    expect(quantile([1, 2, 3, 4, 5], 0.25)).to.equal(2);
    expect(quantile([7], 0.99)).to.equal(7);
    expect(quantile([], 0.5)).to.be.NaN;
  });

  it('sorts for the median and the spread by value, not by text', () => {
    expect(median([10, 9, 100])).to.equal(10);
    expect(spread([1, 10, 2, 9, 5])).to.deep.equal({ low: 2, high: 9 });
  });

  const range = (n: number, from = 1) => Array.from({ length: n }, (_, i) => from + i);

  it('rank sum: samples that do not overlap are 2 in all choices', () => {
    expect(rankSum([1, 2, 3], [4, 5, 6])).to.be.closeTo(2 / 20, 1e-12);
    expect(rankSum(range(5, 100), range(5))).to.be.closeTo(2 / 252, 1e-12);
    expect(rankSum(range(10), range(10, 100))).to.be.closeTo(2 / 184756, 1e-12);
  });

  /** Samples of n each, in which u pairs are the other way round. */
  function withU(n: number, u: number): [number[], number[]] {
    const second = range(n).map((i) => i * 10);
    const first = range(n).map((_, i) => -i);
    for (let i = 0; u > 0; i++, u -= n) first[i] = u >= n ? 1000 + i : u * 10 + 1;
    return [first, second];
  }

  it('rank sum: the limits of 5 % in the published tables', () => {
    for (const [n, u] of [
      [5, 2],
      [8, 13],
      [10, 23],
      [20, 127],
    ] as const) {
      expect(rankSum(...withU(n, u)), `U = ${u} of ${n} and ${n}`).to.be.at.most(0.05);
      expect(rankSum(...withU(n, u + 1)), `U = ${u + 1} of ${n} and ${n}`).to.be.above(0.05);
    }
  });

  it('rank sum: exact with ties, by looking at all choices', () => {
    const values = [1, 1, 2, 2, 2, 3, 4];
    const ranks = [1.5, 1.5, 4, 4, 4, 6, 7];
    const choices = range(128, 0).filter((mask) => ranks.filter((_, i) => mask & (1 << i)).length === 3);
    const sum = (mask: number) => ranks.reduce((all, rank, i) => all + (mask & (1 << i) ? rank : 0), 0);
    for (const mask of choices) {
      const below = choices.filter((each) => sum(each) <= sum(mask)).length / choices.length;
      const above = choices.filter((each) => sum(each) >= sum(mask)).length / choices.length;
      const first = values.filter((_, i) => mask & (1 << i));
      const second = values.filter((_, i) => !(mask & (1 << i)));
      expect(rankSum(first, second)).to.be.closeTo(Math.min(1, 2 * Math.min(below, above)), 1e-12);
    }
  });

  it('rank sum: the normal distribution goes on where the exact one ends', () => {
    const shifted = (n: number, shift: number) => rankSum(range(n), range(n, 1 + shift + 0.5));
    expect(shifted(31, 0)).to.be.closeTo(shifted(30, 0), 0.02);
    expect(shifted(31, 8)).to.be.closeTo(shifted(30, 8), 0.01);
    expect(shifted(1000, 900)).to.be.lessThan(1e-6);
    expect(rankSum(new Array(40).fill(1), new Array(40).fill(1))).to.be.closeTo(1, 1e-6);
  });

  it('one bad round does not hide a difference', () => {
    const slow = [2, 2.1, 1.9, 2, 2.2, 2, 2.1, 1.95, 2, 2.05];
    const fast = [1, 1.1, 0.9, 1, 30, 1, 1.1, 0.95, 1, 1.05];
    const { ratio, low, high, p } = compareSamples(slow, fast);
    expect(ratio).to.be.closeTo(2, 0.1);
    expect(low).to.be.within(1.7, 2);
    expect(high).to.be.within(2, 2.3);
    expect(p).to.be.lessThan(0.002);
  });

  it('the interval excludes 1 where the test rejects at 5 %, and only there', () => {
    for (let u = 0; u <= 18; u++) {
      const [first, second] = withU(6, u).map((sample) => sample.map((x) => Math.exp(x / 1000)));
      const { ratio, low, high, p } = compareSamples(first!, second!);
      expect(low).to.be.at.most(ratio);
      expect(high).to.be.at.least(ratio);
      expect(low > 1 || high < 1, `U = ${u}`).to.equal(p <= 0.05);
    }
  });

  it('with one repetition there is a ratio, and no verdict', () => {
    const { ratio, p } = compareSamples([2], [1]);
    expect(ratio).to.be.closeTo(2, 1e-12);
    expect(p).to.equal(1);
  });

  it('Holm: smallest times the number, and never less than the one before', () => {
    expect(holm([0.01, 0.04, 0.03])).to.deep.equal([0.03, 0.06, 0.06]);
    expect(holm([0.5, 0.9])).to.deep.equal([1, 1]);
    expect(holm([])).to.deep.equal([]);
  });
});

describe('statistics of rounds', () => {
  const range = (n: number, from = 1) => Array.from({ length: n }, (_, i) => from + i);

  it('signed rank: differences of one sign are 2 in all choices of signs', () => {
    for (const n of [1, 5, 6, 10, 15]) expect(signedRank(range(n))).to.be.closeTo(Math.min(1, 2 / 2 ** n), 1e-15);
    expect(signedRank([])).to.equal(1);
    expect(signedRank([0, 0, 0])).to.equal(1);
  });

  it('signed rank: the limits of 5 % in the published tables', () => {
    for (const [n, limit] of [
      [6, 0],
      [8, 3],
      [10, 8],
      [15, 25],
      [20, 52],
    ] as const) {
      const withSum = (sum: number) => {
        const differences = range(n).map((rank) => -rank);
        for (let rank = n, left = sum; rank > 0; rank--)
          if (rank <= left) {
            differences[rank - 1] = rank;
            left -= rank;
          }
        return differences;
      };
      expect(signedRank(withSum(limit)), `T = ${limit} of ${n}`).to.be.at.most(0.05);
      expect(signedRank(withSum(limit + 1)), `T = ${limit + 1} of ${n}`).to.be.above(0.05);
    }
  });

  it('signed rank: exact with ties and zeroes, by looking at all signs', () => {
    const sizes = [1, 1, 2, 2, 2, 3, 4];
    const ranks = [1.5, 1.5, 4, 4, 4, 6, 7];
    const sum = (mask: number) => ranks.reduce((all, rank, i) => all + (mask & (1 << i) ? rank : 0), 0);
    const masks = range(128, 0);
    for (const mask of masks) {
      const below = masks.filter((each) => sum(each) <= sum(mask)).length / masks.length;
      const above = masks.filter((each) => sum(each) >= sum(mask)).length / masks.length;
      const differences = [0, ...sizes.map((size, i) => (mask & (1 << i) ? size : -size))];
      expect(signedRank(differences)).to.be.closeTo(Math.min(1, 2 * Math.min(below, above)), 1e-12);
    }
  });

  it('signed rank: the normal distribution goes on where the exact one ends', () => {
    const shifted = (n: number, shift: number) => signedRank(range(n).map((i) => (i % 2 ? i : -i) + shift));
    for (const shift of [0, 20, 30]) expect(shifted(201, shift)).to.be.closeTo(shifted(200, shift), 0.02);
  });

  it('the interval excludes 1 where the test rejects at 5 %, and only there', () => {
    const random = seeded(3);
    for (let run = 0; run < 300; run++) {
      const n = 6 + (run % 12);
      const first = range(n).map(() => Math.exp(random() - 0.35));
      const { ratio, low, high, p } = compareRounds(first, new Array(n).fill(1));
      expect(low).to.be.at.most(ratio);
      expect(high).to.be.at.least(ratio);
      expect(low > 1 || high < 1, `${run}`).to.equal(p <= 0.05);
    }
  });

  it('a machine that gets slower, and one bad round, do not hide a difference', () => {
    const machine = [1, 3, 2, 8, 5, 4, 9, 6, 7, 2, 4, 8, 3, 5, 6];
    const slow = machine.map((time, round) => time * (2 + 0.1 * Math.sin(round)));
    const fast = machine.map((time, round) => (round === 4 ? 30 * time : time));
    const { ratio, low, high, p } = compareRounds(slow, fast);
    expect(ratio).to.be.closeTo(2, 0.1);
    expect(low).to.be.within(1, 2);
    expect(high).to.be.within(2, 2.2);
    expect(p).to.be.lessThan(0.05);
  });

  it('the rounds that are needed grow with the number of pairs', () => {
    for (const pairs of range(12)) {
      const needed = roundsToShow(pairs, 0.05);
      expect(pairs * signedRank(range(needed))).to.be.at.most(0.05);
      expect(pairs * signedRank(range(needed - 1))).to.be.above(0.05);
    }
    expect(roundsToShow(1, 0.05)).to.equal(6);
  });

  /**
   * Rounds as a shared machine gives them: noise in common, noise of each arm's own, and one time in ten a heavy outlier. `faster`: what the
   * first arm's times are divided by.
   */
  function simulate(random: () => number, arms: number, rounds: number, noise: number, faster = 1, outliers = 0.1) {
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const measurements = range(arms).map((arm) => ({ arm: `arm ${arm}`, seconds: [] as number[] }));
    for (let round = 0; round < rounds; round++) {
      const common = Math.exp(0.3 * normal());
      for (const [index, { seconds }] of measurements.entries()) {
        const outlier = random() < outliers ? 1 + 2 * random() : 1;
        seconds.push((common * Math.exp(noise * normal()) * outlier) / (index === 0 ? faster : 1));
      }
    }
    return measurements;
  }

  const pairsOf = (arms: number) => range(arms - 1, 2).map((arm) => [`arm ${arm}`, 'arm 1'] as const);

  for (const rounds of [6, 12, 15])
    it(`equal arms are said to differ in at most 5 % of the groups, and pairs, of ${rounds} rounds`, function () {
      this.timeout(60_000);
      const random = seeded(rounds);
      const groups = 2000;
      for (const arms of [2, 3, 5, 8]) {
        let wrong = 0;
        let uncorrected = 0;
        let unpaired = 0;
        for (let group = 0; group < groups; group++) {
          const measurements = simulate(random, arms, rounds, 0.05);
          const verdicts = judge(measurements, pairsOf(arms));
          if (verdicts.some(({ verdict }) => verdict === 'differs')) wrong++;
          const [one, two] = measurements;
          if (signedRank(one!.seconds.map((time, round) => Math.log(time / two!.seconds[round]!))) < 0.05)
            uncorrected++;
          // What was done before: times in proportion to the median of the round, as if nothing paired them.
          const medians = range(rounds, 0).map((round) => median(measurements.map(({ seconds }) => seconds[round]!)));
          const relative = (seconds: number[]) => seconds.map((time, round) => time / medians[round]!);
          if (arms === 2 && rankSum(relative(one!.seconds), relative(two!.seconds)) < 0.05) unpaired++;
        }
        // Three standard deviations of 5 % above it.
        const bound = 0.05 + 3 * Math.sqrt((0.05 * 0.95) / groups);
        expect(wrong / groups, `${arms} arms, any pair`).to.be.at.most(bound);
        expect(uncorrected / groups, `${arms} arms, one pair`).to.be.within(0.02, bound);
        if (arms === 2) expect(unpaired / groups, 'the bound notices a test that loses its level').to.be.above(bound);
      }
    });

  for (const { outliers, power } of [
    { outliers: 0, power: 0.95 },
    { outliers: 0.1, power: 0.65 },
  ])
    it(`a true difference of 20 % is found with 15 rounds of 10 % noise, ${outliers * 100} % outliers`, function () {
      this.timeout(60_000);
      const random = seeded(20);
      const groups = 400;
      let found = 0;
      let covered = 0;
      for (let group = 0; group < groups; group++) {
        const [verdict] = judge(simulate(random, 2, 15, 0.1, 1 / 1.2, outliers), pairsOf(2));
        if (verdict!.verdict === 'differs' && verdict!.ratio > 1) found++;
        if (verdict!.low <= 1.2 && verdict!.high >= 1.2) covered++;
      }
      expect(found / groups).to.be.above(power);
      expect(covered / groups).to.be.above(0.95 - 3 * Math.sqrt((0.05 * 0.95) / groups));
    });
});
