import { expect } from 'chai';
import { compareSamples, holm, median, quantile, rankSum, spread } from '../../lib/compare/measure/statistics.js';

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
