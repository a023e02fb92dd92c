import { expect } from 'chai';
import { monotonic } from '../../lib/base/monotonic.js';
import { openLanes } from '../../lib/crypto/engine/engine.js';
import { Tfm } from '../../lib/index.js';

/** How far two readings of a clock may be apart that are the same moment: microseconds. */
const reading = 50;

describe('when work began and ended', () => {
  const lanes = openLanes(2);
  after(() => lanes.close());

  it('is on the clock of process.hrtime', () => {
    const before = Number(process.hrtime.bigint()) / 1000;
    const now = monotonic();
    const after = Number(process.hrtime.bigint()) / 1000;
    expect(now).to.be.within(before - reading, after + reading);
  });

  for (const [name, engine] of [
    ['sync', 'sync'],
    ['lanes', lanes],
  ] as const)
    it(`is between submission and completion: ${name}`, async () => {
      using tfm = new Tfm('hash', 'sha256', { provider: 'library', engine });
      const request = tfm.request();
      request.src = Buffer.alloc(65536);
      request.dst = Buffer.alloc(32);
      const batch = tfm.batch({
        direction: 'encrypt',
        unitSize: 4096,
        ivs: null,
        src: Buffer.alloc(65536),
        dst: Buffer.alloc(512),
      });
      for (const work of [request, batch]) {
        expect([work.began, work.ended]).to.deep.equal([0, 0]);
        const before = monotonic();
        await work.run();
        const after = monotonic();
        expect(work.began).to.be.within(before - reading, work.ended);
        expect(work.ended).to.be.within(work.began + 1, after + reading);
      }
    });

  it('is not known of what never ran', async () => {
    const closed = openLanes(1);
    using tfm = new Tfm('hash', 'sha256', { provider: 'library', engine: closed });
    const request = tfm.request();
    request.src = Buffer.alloc(64);
    request.dst = Buffer.alloc(32);
    await request.run();
    expect(request.began).to.be.above(0);
    closed.close();
    expect(request.submit(() => {})).to.equal('done');
    expect([request.began, request.ended]).to.deep.equal([0, 0]);
  });
});
