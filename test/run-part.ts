/**
 * One part of the suite in this process: `node run-part.js COUNTS EVERY FIRST FILE...`. Mocha without its command line, which in the lab takes
 * longer than many a test. Of each group of tests it runs one in EVERY, from the FIRST (from 0) on, and at least one; the sums go to the file COUNTS.
 */
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import Mocha from 'mocha';

const [counts, every, first, ...files] = process.argv.slice(2);
/** Milliseconds after which a test hangs, on the slowest of machines. */
const hang = 600_000;

/** Takes from a suite, and those inside it, what is not in the sample. @returns how many tests that were. */
function thin(suite: Mocha.Suite): number {
  const step = Math.min(Number(every), Math.max(suite.tests.length, 1));
  const kept = suite.tests.filter((_, index) => index % step === Number(first) % step);
  let gone = suite.tests.length - kept.length;
  suite.tests = kept;
  for (const inner of suite.suites) gone += thin(inner);
  return gone;
}

const mocha = new Mocha({ timeout: hang, reporter: 'dot' });
for (const file of files) mocha.addFile(resolve(file));
await mocha.loadFilesAsync();
const gone = thin(mocha.suite);

const skipped: string[] = [];
const slow: { title: string; seconds: number }[] = [];
const runner = mocha.run((failures) => {
  const { passes, pending } = runner.stats!;
  for (const title of skipped) process.stdout.write(`  skipped: ${title}\n`);
  slow.sort((a, b) => b.seconds - a.seconds);
  for (const { title, seconds } of slow.slice(0, 3))
    process.stdout.write(`  slowest: ${seconds.toFixed(1)} s: ${title}\n`);
  if (gone) process.stdout.write(`  a sample: ${gone} more tests in these files; 'make test-whole' runs all\n`);
  writeFileSync(counts!, JSON.stringify({ passed: passes, failed: failures, skipped: pending }));
  process.exitCode = failures ? 1 : 0;
});
runner.on('pending', (test) => skipped.push(test.fullTitle()));
runner.on('pass', (test) => slow.push({ title: test.fullTitle(), seconds: (test.duration ?? 0) / 1000 }));
