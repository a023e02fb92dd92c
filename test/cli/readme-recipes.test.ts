import { readFileSync } from 'node:fs';
import { consoleBlocks, testBlocks } from '../support/console-blocks.js';

const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

/** What a reader types in one section he types in one folder. The lab's are in lab-recipes.test.ts. */
describe('the commands of the README', function () {
  this.timeout(600_000);
  const blocks = consoleBlocks(readme).filter(({ needs }) => !needs.includes('lab'));
  for (const section of new Set(blocks.map((block) => block.section)))
    describe(section, () => testBlocks(blocks.filter((block) => block.section === section)));
});
