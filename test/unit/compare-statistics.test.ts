import { expect } from 'chai';
import { holm, median, pairedRatio, quantile, signedRank, spread } from '../../lib/compare/statistics.js';

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

  it('signed rank: all of n on one side is 2 in 2^n', () => {
    for (const n of [1, 5, 6, 9, 20]) {
      const differences = Array.from({ length: n }, (_, i) => i + 1);
      expect(signedRank(differences)).to.be.closeTo(Math.min(1, 2 / 2 ** n), 1e-12);
      expect(signedRank(differences.map((d) => -d))).to.be.closeTo(Math.min(1, 2 / 2 ** n), 1e-12);
    }
  });

  it('signed rank: the published tables', () => {
    // n = 10: W = 8 is the two-sided 5 % limit: P(W <= 8) = 25/1024; and 9 is above it: 33/1024.
    expect(signedRank([-1, -7, 2, 3, 4, 5, 6, 8, 9, 10])).to.be.closeTo(50 / 1024, 1e-12);
    expect(signedRank([-1, -8, 2, 3, 4, 5, 6, 7, 9, 10])).to.be.closeTo(66 / 1024, 1e-12);
  });

  it('signed rank: exact with ties, by counting all signs', () => {
    const magnitudes = [1, 1, 2, 2, 2, 3];
    const ranks = [1.5, 1.5, 4, 4, 4, 6];
    const sum = (mask: number) => ranks.reduce((total, rank, i) => total + (mask & (1 << i) ? rank : 0), 0);
    for (let mask = 0; mask < 64; mask++) {
      const sums = Array.from({ length: 64 }, (_, each) => sum(each));
      const below = sums.filter((each) => each <= sum(mask)).length / 64;
      const above = sums.filter((each) => each >= sum(mask)).length / 64;
      const differences = magnitudes.map((magnitude, i) => (mask & (1 << i) ? magnitude : -magnitude));
      expect(signedRank(differences)).to.be.closeTo(Math.min(1, 2 * Math.min(below, above)), 1e-12);
    }
  });

  it('signed rank: no difference says nothing', () => {
    expect(signedRank([])).to.equal(1);
    expect(signedRank([0, 0, 0])).to.equal(1);
    expect(signedRank([0, 1, 0, 2])).to.equal(signedRank([1, 2]));
  });

  it('the ratio is of pairs: what slows both of a round down does not hide it', () => {
    const noise = [1, 9, 2, 30, 4, 1.5, 7, 3, 11, 2.5];
    const { ratio, low, high, p } = pairedRatio(
      noise.map((x) => 1.5 * x),
      noise,
    );
    expect(ratio).to.be.closeTo(1.5, 1e-9);
    expect(low).to.be.closeTo(1.5, 1e-9);
    expect(high).to.be.closeTo(1.5, 1e-9);
    expect(p).to.be.closeTo(2 / 1024, 1e-12);
  });

  it('the interval holds the ratio, and excludes 1 where the test rejects at 5 %', () => {
    const second = [1, 1, 1, 1, 1, 1, 1, 1];
    const clear = pairedRatio([1.1, 1.2, 1.3, 1.15, 1.25, 1.4, 1.05, 1.35], second);
    expect(clear.low).to.be.greaterThan(1).and.lessThan(clear.ratio);
    expect(clear.high).to.be.greaterThan(clear.ratio);
    const unclear = pairedRatio([1.1, 0.8, 1.3, 0.85, 1.25, 0.9, 1.05, 0.95], second);
    expect(unclear.low).to.be.lessThan(1);
    expect(unclear.high).to.be.greaterThan(1);
    expect(unclear.p).to.be.greaterThan(0.05);
  });

  it('with one round there is a ratio, and no verdict', () => {
    expect(pairedRatio([2], [1])).to.deep.include({ p: 1 });
    expect(pairedRatio([2], [1]).ratio).to.be.closeTo(2, 1e-12);
  });

  it('Holm: smallest times the number, and never less than the one before', () => {
    expect(holm([0.01, 0.04, 0.03])).to.deep.equal([0.03, 0.06, 0.06]);
    expect(holm([0.5, 0.9])).to.deep.equal([1, 1]);
    expect(holm([])).to.deep.equal([]);
  });
});
