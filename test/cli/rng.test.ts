import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { progressLine } from '../../lib/cli/progress.js';
import { dmalg, inFolder } from './run.js';

const library = ['--provider', 'library'];

describe('dmalg rng', function () {
  this.timeout(600_000);

  it(
    'writes as many bytes as asked, to stdout or a file, raw or in hex',
    inFolder((folder) => {
      for (const bytes of [0, 1, 65_536, 200_001])
        expect(dmalg(folder, ['rng', '--bytes', `${bytes}`, ...library]).stdout).to.have.length(bytes);
      const hex = dmalg(folder, ['rng', '--name', 'stdrng', '--bytes', '16', '--hex', ...library]).stdout.toString();
      expect(hex).to.match(/^[0-9a-f]{32}\n$/);
      expect(dmalg(folder, ['rng', '--bytes', '1000', '--output', 'out', ...library]).status).to.equal(0);
      expect(readFileSync(join(folder, 'out'))).to.have.length(1000);
      expect(readdirSync(folder)).to.deep.equal(['out']);
    }),
  );

  it(
    'says what is wrong',
    inFolder((folder) => {
      for (const [args, text] of [
        [[], /--bytes is missing/],
        [['--bytes', '-1'], /--bytes/],
        [['--bytes', '1e3'], /--bytes: expected a whole number/],
        [['--bytes', '1', 'file'], /expected no file, got 'file'/],
      ] as const) {
        const outcome = dmalg(folder, ['rng', ...library, ...args]);
        expect(outcome.status).to.equal(1);
        expect(outcome.stderr).to.match(text);
      }
    }),
  );
});

describe('the line of progress', () => {
  it('shows bar, rate and the time left where the size is known', () => {
    expect(progressLine(50 * 2 ** 20, 200 * 2 ** 20, 2)).to.equal(
      '[######..................]  25 %  50.0 MiB  25.0 MiB/s  ETA 00:00:06',
    );
    expect(progressLine(200 * 2 ** 20, 200 * 2 ** 20, 8)).to.match(/^\[#{24}\] 100 % {2}.*ETA 00:00:00$/);
    expect(progressLine(0, 10, 0)).to.equal('[........................]   0 %  0 B  0 B/s');
  });

  it('shows bytes and rate where it is not', () => {
    expect(progressLine(3 * 2 ** 30, undefined, 3)).to.equal('3.0 GiB  1.0 GiB/s');
  });
});
