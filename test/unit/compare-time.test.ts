import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { compareAll } from '../../lib/compare/all.js';
import { TimeBudget } from '../../lib/compare/measure/time-budget.js';
import { renderPage } from '../../lib/compare/page/page.js';
import { limited, stoppedBefore } from '../../lib/compare/watch.js';

const schema = JSON.parse(readFileSync(new URL('../../../lib/compare/report.schema.json', import.meta.url), 'utf8'));

describe('the time of an experiment', () => {
  /** Seconds, against which those that the test itself takes are nothing. */
  const long = 1e6;

  it('is shared by weight, and what is left over by those that come later', () => {
    const budget = new TimeBudget(long, 4);
    expect(budget.next()).to.be.closeTo(long / 4, 100);
    expect(budget.next(2)).to.be.closeTo((long * 2) / 3, 100);
    expect(budget.next()).to.be.closeTo(long, 100);
  });

  it('has an end', () => {
    const budget = new TimeBudget(0, 2);
    expect([budget.next(), budget.next(), budget.next()]).to.deep.equal([0, 0, 0]);
    expect(new TimeBudget(Number.POSITIVE_INFINITY, 2).next()).to.equal(Number.POSITIVE_INFINITY);
  });

  it('ends like an interruption, or by one', () => {
    const stop = new AbortController();
    const { signal, seconds } = limited({ signal: stop.signal }, long);
    expect(seconds).to.equal(long);
    expect(signal!.aborted).to.equal(false);
    stop.abort();
    expect(signal!.aborted).to.equal(true);
    expect(limited({}, 0).signal!.aborted).to.equal(true);
  });
});

describe('compare all, without time', function () {
  this.timeout(600_000);

  it('has five sections that say what they left out, as the schema says, and a page of them', async () => {
    const report = await compareAll({ quick: true }, { seconds: 0 });
    const validate = new Ajv({ allErrors: true, strict: true }).compile(schema);
    expect(validate(JSON.parse(JSON.stringify(report))), JSON.stringify(validate.errors)).to.equal(true);
    expect(report.reports.map(({ experiment }) => experiment)).to.have.length(5);
    for (const { experiment, omitted } of report.reports)
      expect(omitted.map(({ reason }) => reason).join('\n'), experiment).to.contain(stoppedBefore);
    expect(renderPage(report)).to.contain(stoppedBefore);
  });
});
