import { expect } from 'chai';
import { promises, randomBytes } from '../../lib/index.js';
import type { Provider } from './reference.js';

export function randomSuite(provider: Provider): void {
  describe(`random bytes on the ${provider}`, function () {
    this.timeout(600_000);
    it('gives as many as asked, and others each time', async () => {
      for (const size of [0, 1, 127, 128, 129, 70_000]) {
        expect(randomBytes(size, { provider })).to.have.length(size);
        expect(await promises.randomBytes(size, { provider })).to.have.length(size);
      }
      expect(randomBytes(32, { provider }).equals(randomBytes(32, { provider }))).to.equal(false);
    });

    it('fills all of it', () => {
      // 70 000 bytes of which 200 in a row stay zero have a chance of 256^-200.
      expect(randomBytes(70_000, { provider }).includes(Buffer.alloc(200))).to.equal(false);
    });

    it('refuses sizes that are none', async () => {
      for (const size of [-1, 1.5, Number.NaN, 2 ** 53])
        expect(() => randomBytes(size)).to.throw(RangeError, /^size: /);
      expect(() => randomBytes('5' as unknown as number)).to.throw(TypeError, 'size: expected a number, got string');
    });

    it('stops when aborted', async () => {
      const controller = new AbortController();
      const running = promises.randomBytes(1_000_000, { provider, signal: controller.signal });
      controller.abort('enough');
      const error = await running.catch((failure: Error) => failure);
      expect(error).to.include({ name: 'AbortError', cause: 'enough' });
    });
  });
}
