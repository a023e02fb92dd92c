import { expect } from 'chai';
import {
  compareRounds,
  holm,
  median,
  quantile,
  roundsToShow,
  signedRank,
  spread,
  studentP,
  studentQuantile,
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

  it('Student’s t: the published tables', () => {
    for (const [freedom, t] of [
      [1, 12.706],
      [2, 4.303],
      [10, 2.228],
      [30, 2.042],
      [120, 1.98],
    ] as const) {
      expect(studentQuantile(freedom)).to.be.closeTo(t, 5e-4);
      expect(studentP(t, freedom)).to.be.closeTo(0.05, 5e-5);
      expect(studentP(-t, freedom)).to.equal(studentP(t, freedom));
    }
    expect(studentP(0, 5)).to.be.closeTo(1, 1e-9);
    expect(studentP(1e6, 5)).to.be.below(1e-9);
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

  /** Whether any pair differs where each is judged as if it were the only one. */
  const judgeAlone = (measurements: ReturnType<typeof simulate>, arms: number) =>
    pairsOf(arms).some((pair) => judge(measurements, [pair])[0]!.verdict === 'differs');

  for (const rounds of [6, 12, 15])
    it(`equal arms are said to differ in at most 5 % of the groups, and pairs, of ${rounds} rounds`, function () {
      this.timeout(60_000);
      const random = seeded(rounds);
      const groups = 2000;
      for (const arms of [2, 3, 5, 8]) {
        let wrong = 0;
        let uncorrected = 0;
        let some = 0;
        for (let group = 0; group < groups; group++) {
          const measurements = simulate(random, arms, rounds, 0.05);
          const verdicts = judge(measurements, pairsOf(arms));
          if (verdicts.some(({ verdict }) => verdict === 'differs')) wrong++;
          const [one, two] = measurements;
          if (signedRank(one!.seconds.map((time, round) => Math.log(time / two!.seconds[round]!))) < 0.05)
            uncorrected++;
          if (judgeAlone(measurements, arms)) some++;
        }
        // Three standard deviations of 5 % above it.
        const bound = 0.05 + 3 * Math.sqrt((0.05 * 0.95) / groups);
        expect(wrong / groups, `${arms} arms, any pair`).to.be.at.most(bound);
        expect(uncorrected / groups, `${arms} arms, one pair`).to.be.within(0.02, bound);
        if (arms === 8 && rounds > 6)
          expect(some / groups, 'the bound notices pairs that are not corrected for').to.be.above(bound);
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
