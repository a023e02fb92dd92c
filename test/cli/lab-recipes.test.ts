import { readdirSync, readFileSync } from 'node:fs';
import { consoleBlocks, testBlocks } from '../support/console-blocks.js';
import { needLab } from './lab-run.js';

const root = new URL('../../../', import.meta.url);
const documents = ['README.md', ...readdirSync(new URL('docs', root)).map((name) => `docs/${name}`)];

/** Each block for itself, in a folder of its own. */
describe('what the documents run in the lab', function () {
  this.timeout(600_000);
  before(needLab);
  for (const path of documents.filter((name) => name.endsWith('.md'))) {
    const blocks = consoleBlocks(readFileSync(new URL(path, root), 'utf8'));
    for (const block of blocks.filter(({ needs }) => needs.includes('lab'))) describe(path, () => testBlocks([block]));
  }
});
