import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../../../', import.meta.url));

describe('make docs', function () {
  this.timeout(300_000);

  it('makes the reference of the API without a warning', function () {
    const { status, stdout, stderr } = spawnSync('make', ['docs'], { cwd: root, encoding: 'utf8' });
    if (/npm (error|ERR!).*(ENOTFOUND|ECONNREFUSED|EAI_AGAIN|E404|network)/s.test(stderr)) {
      this.test!.title += ' (typedoc cannot be fetched: no registry)';
      this.skip();
    }
    expect(`${stdout}${stderr}`).not.to.match(/warning\]/);
    expect(status, stderr).to.equal(0);
    expect(existsSync(`${root}docs/api/index.html`)).to.equal(true);
  });
});
