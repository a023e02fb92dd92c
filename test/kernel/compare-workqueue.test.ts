import { expect } from 'chai';
import { loadName, nullCipher, workqueueArms } from '../../lib/compare/workqueue/arms.js';
import { diskImage } from '../../lib/compare/workqueue/disk.js';
import { fioSuffix, measureKernelCrypt, whyNoKernelCrypt } from '../../lib/compare/workqueue/kernel.js';

describe("compare workqueue on the kernel's dm-crypt", function () {
  this.timeout(900_000);

  it('fio writes through each of its queues, and what is below is what our crypt finds', async function () {
    if (!process.env['DMALG_LAB']) this.skip();
    expect(whyNoKernelCrypt()).to.equal(undefined);
    const load = { op: 'write', order: 'random', depth: 32, cipher: nullCipher } as const;
    const { name, base, results } = await measureKernelCrypt(load, diskImage(nullCipher, 2), 0);
    expect({ name, base }).to.deep.equal({ name: `${loadName(load)}, ${fioSuffix}`, base: 'default' });
    expect(results.map(({ arm }) => arm)).to.deep.equal(workqueueArms.map(({ name }) => name));
    for (const each of results) {
      expect(each, each.arm).to.include({ wrongOutputs: 0, failed: 0, outputsChecked: 1024, repetitions: 1 });
      expect(each.throughput, each.arm).to.be.above(0);
    }
  });
});
