import { caveatsOf } from '../../compare/measure/caveats.js';
import { kernelCommandLine } from '../../compare/measure/environment.js';
import { type AllReport, type Report, reportsOf, wrongOutputs } from '../../compare/report.js';
import { formatEnvironment } from '../../compare/text/environment-table.js';
import { isOutOfTime, limited, type Watch } from '../../compare/watch.js';
import { CliError } from '../command.js';
import { Exit } from '../exit.js';
import { Progress, shareLine } from '../progress.js';
import { type Destination, tablesOf, writeReport } from './destination.js';
import { interruptible } from './lab.js';

/** Runs experiments, until a time if there is one, prints what they have to say as soon as it is known, and writes the report. Returns the exit status. */
export async function runAndReport(
  run: (watch: Watch) => Promise<Report | AllReport>,
  to: Destination,
  end: number | undefined,
): Promise<number> {
  const out = tablesOf(to);
  let progress: Progress | undefined;
  let where = '';
  const print = (text: string) => {
    progress?.end();
    out.write(text);
  };
  return interruptible(async (signal) => {
    const watch: Watch = {
      signal,
      print,
      described: (environment) => print(formatEnvironment(environment)),
      planned: (work) => {
        progress = new Progress(work, to.quiet, (done, _, seconds) => shareLine(done, work, seconds, where));
      },
      ran: (work, what) => {
        where = what;
        progress?.advance(work);
      },
    };
    const report = await run(end === undefined ? watch : limited(watch, (end - Date.now()) / 1000));
    progress?.end();
    return conclude(report, signal.aborted, to);
  }).finally(() => progress?.end());
}

/** An interrupted run leaves no report under the name of a whole one. */
export async function conclude(report: Report | AllReport, interrupted: boolean, to: Destination): Promise<number> {
  if (interrupted) {
    process.stderr.write('dmalg: interrupted; the report is not complete\n');
    return 130;
  }
  if (report.experiment === 'iv' && report.results.length === 0 && !report.omitted.some(isOutOfTime))
    throw new CliError('none of the drivers is here', Exit.unsupported);
  if (to.commandLine)
    for (const { environment } of [report, ...reportsOf(report)]) environment.kernel.commandLine = kernelCommandLine();
  for (const caveat of new Set(reportsOf(report).flatMap(caveatsOf))) tablesOf(to).write(`With reserve: ${caveat}.\n`);
  await writeReport(report, to);
  const wrong = reportsOf(report).flatMap(wrongOutputs);
  for (const line of wrong) process.stderr.write(`dmalg: WRONG OUTPUTS: ${line}\n`);
  return wrong.length > 0 ? Exit.verification : Exit.done;
}
