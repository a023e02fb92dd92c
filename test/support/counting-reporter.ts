import { writeFileSync } from 'node:fs';
import mocha from 'mocha';

/** Mocha's own report on the terminal, and the sums for test/run.ts in the file named by DMALG_TEST_COUNTS. */
export default class CountingReporter extends mocha.reporters.Dot {
  constructor(runner: mocha.Runner, options: mocha.MochaOptions) {
    super(runner, options);
    const skipped: string[] = [];
    runner.on('pending', (test: mocha.Test) => skipped.push(test.fullTitle()));
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats;
      for (const title of skipped) process.stdout.write(`  skipped: ${title}\n`);
      writeFileSync(
        process.env.DMALG_TEST_COUNTS!,
        JSON.stringify({ passed: passes, failed: failures, skipped: pending }),
      );
    });
  }
}
