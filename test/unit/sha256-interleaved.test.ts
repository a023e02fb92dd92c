import { expect } from 'chai';
import { binding, libraryKind } from '../../lib/base/binding.js';
import { fill } from '../support/veritysetup.js';

describe('SHA-256 of units side by side', () => {
  it('gives libcrypto’s bytes for any number of units, sizes and salts', function () {
    const native = binding();
    const beside = native.library_open(libraryKind.interleaved, 'SHA256');
    if (typeof beside === 'number') {
      this.test!.title += ' (this CPU has no SHA extensions)';
      this.skip();
    }
    const one = native.library_open(libraryKind.digest, 'SHA256');
    if (typeof one === 'number') throw new Error(`library_open: ${one}`);
    for (const size of [1, 63, 64, 65, 119, 120, 512, 4096])
      for (const count of [1, 2, 3, 4, 7, 8])
        for (const saltSize of [0, 1, 32, 63, 64, 65, 256, 257, 600, 5000])
          for (const flags of [0, 8]) {
            const src = fill(size * count, size + saltSize);
            const salt = fill(saltSize, count);
            const run = (tfm: typeof one) => {
              const dst = new Uint8Array(32 * count);
              const status = new Int32Array(count);
              native.batch_run(tfm, flags, null, src, dst, size, 32, status, salt);
              return { dst, status };
            };
            expect(run(beside), `${count} of ${size}, salt of ${saltSize}, flags ${flags}`).to.deep.equal(run(one));
          }
    native.tfm_close(one);
    native.tfm_close(beside);
  });
});
