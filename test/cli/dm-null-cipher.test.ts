import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { dmalg, inFolder } from './run.js';

// The script of Korchagin 2020: a RAM disk, and dm-crypt with the null cipher on it, with its queues and past them.
describe('dmalg dm: three devices with the null cipher', function () {
  this.timeout(600_000);
  const size = 1 << 20;
  const devices: [string, string][] = [
    ['eram0', ''],
    ['eram0-inline-write', ' 1 no_write_workqueue'],
    ['eram0-inline-read', ' 1 no_read_workqueue'],
  ];
  const line = (below: string, flag: string) => `0 ${size / 512} crypt capi:ecb(cipher_null) - 0 ${below} 0${flag}`;
  const data = Buffer.from(Array.from({ length: 300_001 }, (_, index) => index % 251));

  for (const [name, flag] of devices) {
    const run = (folder: string, args: string[], input?: Uint8Array) => {
      const outcome = dmalg(folder, ['dm', ...args], input);
      expect(outcome).to.deep.include({ status: 0, stderr: '' });
      return outcome.stdout;
    };

    it(
      `${name}: on a file, which keeps what was written for the next command`,
      inFolder((folder) => {
        writeFileSync(join(folder, 'ram0'), Buffer.alloc(size));
        const table = ['--table', line('ram0', flag), '--provider', 'library'];
        // dmsetup shows a key that is none as one zero.
        expect(`${run(folder, ['table', ...table])}`).to.equal(`${line('ram0', flag).replace(' - ', ' 0 ')}\n`);
        expect(`${run(folder, ['table', ...table, '--showkeys'])}`).to.equal(`${line('ram0', flag)}\n`);
        expect(`${run(folder, ['status', ...table])}`).to.equal(`0 ${size / 512} crypt \n`);
        run(folder, ['write', ...table, '--offset', '4097'], data);
        const expected = Buffer.alloc(size);
        expected.set(data, 4097);
        expect(run(folder, ['read', ...table]).equals(expected)).to.equal(true);
        expect(readFileSync(join(folder, 'ram0')).equals(expected), 'nothing is enciphered').to.equal(true);
      }),
    );

    it(
      `${name}: on a RAM disk of the command's own`,
      inFolder((folder) => {
        const table = ['--table', line(`ram:${size}`, flag), '--provider', 'library'];
        expect(`${run(folder, ['table', ...table, '--showkeys'])}`).to.equal(`${line(`ram:${size}`, flag)}\n`);
        expect(run(folder, ['read', ...table]).equals(Buffer.alloc(size))).to.equal(true);
        run(folder, ['write', ...table, '--offset', '4097'], data);
      }),
    );
  }
});
