import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { exitStatuses } from '../../lib/cli/exit.js';
import { ivModes } from '../../lib/crypto/sector/spec.js';
import { targetTypes } from '../../lib/dm/targets/index.js';
import { consoleBlocks, testBlocks } from '../support/console-blocks.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const folders = ['.', 'docs', 'docs/targets'];
const documents = folders.flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

/** Where the optional parameters of a target are known, and how many there are. */
const options: Record<string, { source: string; count: number }> = {
  crypt: { source: 'lib/dm/targets/crypt/features.ts', count: 10 },
  flakey: { source: 'lib/dm/targets/flakey/features.ts', count: 6 },
  verity: { source: 'lib/dm/targets/verity/features.ts', count: 13 },
};

/** Words with an underscore, and words before a colon, at the start of a string or a pattern. */
function optionNames(source: string): Set<string> {
  const found = read(source).matchAll(/(?:'|\/\^)([a-z]+(?:_[a-z]+)+|[a-z]+(?=:\\d))/g);
  return new Set([...found].map(([, name]) => name!));
}

describe('the documents', function () {
  this.timeout(600_000);

  it('the README has the exit statuses that the manual page has', () => {
    expect(read('README.md')).to.contain(exitStatuses);
  });

  it('have a page for each target, and the index names it', () => {
    const index = read('docs/targets/README.md');
    for (const { name } of targetTypes) {
      expect(read(`docs/targets/${name}.md`)).to.match(new RegExp(`^# ${name}\n`));
      expect(index).to.contain(`[${name}](${name}.md)`);
    }
  });

  for (const [target, { source, count }] of Object.entries(options))
    it(`tell every optional parameter of ${target}`, () => {
      const names = optionNames(source);
      expect([...names]).to.have.lengthOf(count);
      const page = read(`docs/targets/${target}.md`);
      for (const name of names) expect(page).to.match(new RegExp(`^\\| .*\`${name}[\`: ].* \\|$`, 'm'));
    });

  it('tell every IV mode of crypt', () => {
    const page = read('docs/targets/crypt.md');
    for (const mode of ivModes) expect(page).to.match(new RegExp(`^\\| .*\`${mode}[\`:].* \\|$`, 'm'));
  });

  it('link to files that are there', () => {
    const links = documents.flatMap((path) =>
      [...read(path).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, to]) => join(dirname(path), to!)),
    );
    expect(links).to.include('docs/targets/crypt.md');
    expect(links.filter((link) => !existsSync(join(root, link)))).to.deep.equal([]);
  });

  for (const path of documents.filter((name) => name.startsWith('docs/'))) {
    const blocks = consoleBlocks(read(path)).filter(({ needs }) => !needs.includes('lab'));
    if (blocks.length > 0) describe(`what ${path} runs`, () => testBlocks(blocks));
  }
});
