import { expect } from 'chai';
import { hazardArm, ivArms } from '../../lib/compare/iv/arms.js';
import { compareIv, ivDrivers } from '../../lib/compare/iv/iv.js';
import type { Cell, IvReport } from '../../lib/compare/iv/report.js';
import { asynchronousDrivers } from '../../lib/crypto/provider/aio-probe.js';
import { readProcCrypto } from '../../lib/crypto/provider/proc-crypto.js';

const virtio = 'virtio_crypto_aes_cbc';
const names = ivArms.map(({ name }) => name);

describe('compare iv on the kernel', function () {
  this.timeout(600_000);
  let report: IvReport;
  const cells = (driver: string): Cell[] => report.results.filter((cell) => cell.driver === driver);

  before(async () => {
    const drivers = [...ivDrivers, 'no-such-driver', 'xts-aes-aesni', 'cryptd(cbc(aes))'];
    const options = { drivers, sizes: [512, 16384], arms: names, repetitions: 2, requests: 8, quick: true };
    report = await compareIv(options);
  });

  it('every output is right, except in the hazard', () => {
    expect(report.results).not.to.have.length(0);
    for (const cell of report.results)
      if (cell.arm !== hazardArm)
        expect(cell, `${cell.arm} on ${cell.driver}`).to.include({ outputsOk: true, failed: 0, outputsChecked: 16 });
  });

  it('every arm runs on the accelerator', () => {
    expect(cells(virtio).map(({ arm, bytes }) => `${arm} ${bytes}`)).to.deep.equal(
      [512, 16384].flatMap((bytes) => names.map((arm) => `${arm} ${bytes}`)),
    );
  });

  it('AIO is called asynchronous where it was', function () {
    const lab = process.env['DMALG_LAB'];
    if (lab === undefined) this.skip();
    // In the hazard a request may find the result of another one, and be done at once.
    const aio = cells(virtio).filter(({ engine, arm }) => engine === 'aio' && arm !== hazardArm);
    expect(aio).to.have.length(14);
    for (const { arm, asynchronous, serialisedByKernel } of aio)
      expect({ arm, asynchronous, serialisedByKernel }).to.deep.equal({
        arm,
        asynchronous: lab === 'aio',
        serialisedByKernel: lab !== 'aio',
      });
    for (const cell of cells(virtio).filter(({ engine }) => engine === 'sync'))
      expect(cell).to.include({ arm: 'mutex', asynchronous: false, serialisedByKernel: false });
    const conclusion = report.conclusions.find(({ driver }) => driver === virtio)!.text;
    expect(conclusion.includes('the kernel serialises')).to.equal(lab !== 'aio');
  });

  it('a kernel that serialises has no hazard', function () {
    if (process.env['DMALG_LAB'] !== 'current') this.skip();
    for (const cell of cells(virtio).filter(({ arm }) => arm === hazardArm))
      expect(cell).to.include({ wrongOutputs: 0, outputsOk: true });
  });

  it('the fastest synchronous driver is one that does not queue', () => {
    const others = new Set([virtio, 'cryptd(cbc(aes-generic))', 'library']);
    const [synchronous] = report.environment.drivers.filter(({ name }) => !others.has(name));
    expect(synchronous).to.include({ provider: 'kernel' });
    const queueing = asynchronousDrivers(readProcCrypto(), 'skcipher').map(({ driver }) => driver);
    expect(queueing).not.to.include(synchronous!.name);
    for (const cell of cells(synchronous!.name))
      expect(cell).to.include({ asynchronous: false, serialisedByKernel: false });
  });

  it('names what is not here, and why', () => {
    const reasons = new Map(report.omitted.map(({ driver, arm, reason }) => [`${driver} ${arm ?? ''}`, reason]));
    expect(reasons.get('no-such-driver ')).to.contain('ENOENT');
    expect(reasons.get('cryptd(cbc(aes)) ')).to.contain('whole system');
    expect(reasons.get('xts-aes-aesni ')).to.equal('it is a driver of xts(aes), not of cbc(aes)');
    expect(reasons.get('library mutex-aio')).to.equal('libcrypto has no AIO');
    expect(report.results.some(({ driver }) => driver === 'no-such-driver')).to.equal(false);
  });

  it('describes the machine', () => {
    const { environment } = report;
    expect(environment.afAlg.available).to.equal(true);
    expect(environment.lab).to.equal(process.env['DMALG_LAB']);
    expect(environment.drivers.find(({ name }) => name === virtio)).to.include({
      module: 'virtio_crypto',
      priority: 150,
    });
  });
});
