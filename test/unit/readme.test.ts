import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = new URL('../../../', import.meta.url);

describe('README', () => {
  it('its example runs as it stands', () => {
    const readme = readFileSync(new URL('README.md', root), 'utf8');
    const [, example = ''] = /```js\n([\s\S]*?)```/.exec(readme) ?? [];
    // Inside the package its own name can be imported.
    const file = fileURLToPath(new URL('dist/readme-example.mjs', root));
    writeFileSync(file, example);
    try {
      const { status, stdout, stderr } = spawnSync(process.execPath, [file], {
        input: 'x'.repeat(100_000),
        encoding: 'utf8',
      });
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(stdout.split('\n')[0]).to.equal('2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
      expect(stdout).to.contain("algorithm: 'cbc(aes)'");
    } finally {
      rmSync(file);
    }
  });
});
