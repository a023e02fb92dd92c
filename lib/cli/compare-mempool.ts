import { formatEnvironment } from '../compare/environment-table.js';
import { compareMempool } from '../compare/mempool.js';
import { formatMempool } from '../compare/mempool-table.js';
import { Exit } from './command.js';
import { interruptible } from './compare-lab.js';
import { reportInterrupted, writeReport } from './compare-report.js';
import { Progress, shareLine } from './progress.js';

/** Prints the report; with --json - it goes to stderr. Interrupted, what was measured is printed and no report written. */
export async function reportMempool(quick: boolean, json: string | undefined, quiet: boolean): Promise<number> {
  const out = json === '-' ? process.stderr : process.stdout;
  let progress: Progress | undefined;
  let where = '';
  return interruptible(async (signal) => {
    const report = await compareMempool({
      quick,
      signal,
      described: (environment) => void out.write(`${formatEnvironment(environment)}\n`),
      planned: (work) => {
        progress = new Progress(work, quiet, (done, _, seconds) => shareLine(done, work, seconds, where));
      },
      ran: ({ depth, pools }) => {
        where = `${depth} devices, mempools ${pools}`;
        progress?.advance(1);
      },
    });
    progress?.end();
    out.write(formatMempool(report));
    if (signal.aborted) return reportInterrupted();
    await writeReport(report, json);
    const wrong = report.stacks.find(({ outputsOk }) => !outputsOk);
    if (wrong) process.stderr.write(`dmalg: WRONG OUTPUTS: ${wrong.depth} devices, mempools ${wrong.pools}\n`);
    return wrong ? Exit.verification : Exit.done;
  }).finally(() => progress?.end());
}
