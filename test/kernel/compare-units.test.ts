import { expect } from 'chai';
import type { GroupsReport } from '../../lib/compare/measure/group.js';
import { wrongOutputs } from '../../lib/compare/report.js';
import { compareUnits } from '../../lib/compare/units/units.js';

describe('compare units on the kernel', function () {
  this.timeout(600_000);
  let report: GroupsReport;

  before(async () => {
    report = await compareUnits({ quick: true });
  });

  it('has both works on both providers', () => {
    expect(report.groups.map(({ name }) => name)).to.deep.equal([
      'xts(aes), kernel',
      'sha256, kernel',
      'xts(aes), library',
      'sha256, library',
    ]);
    expect(report.published[0]).to.include({ group: 'xts(aes), kernel' });
    expect(report.conclusions).to.have.length(5);
  });

  it('every output is right', () => {
    expect(wrongOutputs(report)).to.deep.equal([]);
    for (const { name, results } of report.groups)
      for (const { arm, failed, outputsChecked } of results) {
        expect(failed, `${arm} of ${name}`).to.equal(0);
        expect(outputsChecked, `${arm} of ${name}`).to.be.above(0);
      }
  });

  it('lanes are asynchronous, the caller’s thread is not, and both tell when the crypto was', () => {
    for (const { results } of report.groups)
      for (const { arm, asynchronousShare, figures } of results) {
        expect(asynchronousShare, arm).to.equal(/lanes?$/.test(arm) ? 1 : 0);
        expect(figures['crypto us'], arm).to.be.above(0);
      }
  });

  it('names the drivers', () => {
    const providers = report.environment.drivers.map(({ provider }) => provider);
    expect(providers).to.include.members(['kernel', 'library']);
  });
});
