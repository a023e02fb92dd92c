import { ivArms } from './iv/arms.js';
import { compareIv, ivDrivers, ivPresets } from './iv/iv.js';
import { describeEnvironment } from './measure/environment.js';
import { TimeBudget } from './measure/time-budget.js';
import { compareMempool } from './mempool/mempool.js';
import type { AllReport, Report } from './report.js';
import { compareUnits } from './units/units.js';
import { compareVerity } from './verity/verity.js';
import { limited, type Watch } from './watch.js';
import { compareWorkqueue } from './workqueue/workqueue.js';

type Run = (options: { quick: boolean }, watch: Watch) => Promise<Report>;

/** Every experiment, in the order of the documents' age. */
export const experiments: Readonly<Record<Report['experiment'], Run>> = {
  iv: ({ quick }, watch) => {
    // Its full extent takes as long as the four others together.
    const { sizes } = ivPresets.quick;
    const repetitions = 60;
    const arms = ivArms.map(({ name }) => name);
    const seconds = quick ? 40 : 90;
    return compareIv(
      { sizes, repetitions, drivers: ivDrivers, arms, requests: undefined, quick: true, seconds },
      watch,
    );
  },
  verity: compareVerity,
  workqueue: compareWorkqueue,
  units: compareUnits,
  mempool: compareMempool,
};

/** How much of the time each has: fio is slow to start, and a stack of devices is soon seen to stand still. */
const weights: Readonly<Record<Report['experiment'], number>> = {
  iv: 4,
  verity: 5,
  workqueue: 7,
  units: 5,
  mempool: 4,
};

/** In progress, an experiment is as long as another. */
const share = 1000;

/** Runs the experiments one after the other, within a time. Stopped, it has those that were complete, and what there is of the one it was in. */
export async function compareAll(options: { quick: boolean }, watch: Watch = {}): Promise<AllReport> {
  const environment = await describeEnvironment([]);
  watch.described?.(environment);
  const runs = Object.entries(experiments);
  watch.planned?.(runs.length * share);
  const budget = new TimeBudget(
    watch.seconds ?? Number.POSITIVE_INFINITY,
    Object.values(weights).reduce((sum, weight) => sum + weight, 0),
  );
  const reports: Report[] = [];
  for (const [name, run] of runs) {
    if (watch.signal?.aborted) break;
    let planned = 1;
    let left = share;
    const advance = (work: number, where: string) => {
      const part = Math.min(left, work);
      left -= part;
      watch.ran?.(part, `${name}: ${where}`);
    };
    watch.print?.(`\n== ${name}\n`);
    const one: Watch = {
      signal: watch.signal,
      ...(watch.print && { print: watch.print }),
      planned: (work) => {
        planned = work;
      },
      ran: (work, where) => advance((share * work) / planned, where),
    };
    const seconds = budget.next(weights[name as Report['experiment']]);
    const report = await run(options, Number.isFinite(seconds) ? limited(one, seconds) : one);
    advance(left, 'done');
    reports.push(report);
  }
  return { version: 1, experiment: 'all', environment, reports };
}
