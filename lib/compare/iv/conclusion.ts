import type { Driver } from '../measure/drivers.js';
import { leastRounds } from '../measure/experiment.js';
import { concludeAgreement } from '../measure/group.js';
import { formatSize } from '../text/table.js';
import { ivPublished } from './arms.js';
import type { Cell, Comparison } from './report.js';

const publishedBytes = ivPublished[0]!.bytes;

/** What the measurement says about Cameron 2018's claim, in a sentence. */
export function concludeIv(driver: Driver, results: Cell[], comparisons: Comparison[]): string {
  const sizes = [...new Set(comparisons.map(({ bytes }) => bytes))];
  const bySize = sizes.map((bytes) => ({
    name: formatSize(bytes),
    comparisons: comparisons.filter((each) => each.bytes === bytes && each.arm.startsWith('staged')),
  }));
  const over = sizes.length > 1 ? concludeAgreement(bySize.filter((each) => each.comparisons.length > 0)) : [];
  return [concludeNearest(driver, results, comparisons), ...over].join(' ');
}

/** With requests of the size that Cameron 2018 has, or the nearest one. */
function concludeNearest(driver: Driver, results: Cell[], comparisons: Comparison[]): string {
  const bytes = nearestSize(results);
  const cells = new Map(results.filter((cell) => cell.bytes === bytes).map((cell) => [cell.arm, cell]));
  if ([...cells.values()].some((cell) => cell.serialisedByKernel))
    return "the kernel serialises: every request was complete when io_submit returned, so none ever waited for another's IV. This is no AIO, and Cameron 2018's claim cannot be tested on this kernel.";
  const mutex = cells.get('mutex-aio');
  if (!mutex) return withoutAio(driver, bytes, cells.get('mutex'));
  const staged = [cells.get('staged-1'), cells.get('staged-8')].filter((cell) => cell !== undefined);
  const pair = [...comparisons]
    .reverse()
    .find((each) => each.bytes === bytes && each.against === mutex.arm && staged.some(({ arm }) => arm === each.arm));
  if (!pair) return "mutex-aio and staged were not both measured: nothing to say about Cameron 2018's claim.";
  const figures = [mutex, ...staged]
    .map((cell) => `${cell.arm} ${cell.percentOfUnchained?.toFixed(0) ?? 'failed'}`)
    .join(', ');
  const [held, queued] = ivPublished;
  const theirs = bytes === publishedBytes ? ` (Cameron 2018: mutex ${held!.percent}, queue ${queued!.percent})` : '';
  const stated = `with ${formatSize(bytes)}, in per cent of unchained: ${figures}${theirs}`;
  if ([...cells.values()].some((cell) => cell.engine === 'aio' && cell.asynchronous))
    return `${stated}: ${outcome(pair, mutex.repetitions)}`;
  return `a synchronous driver, which runs inside io_submit: no request waits, and Cameron 2018 is not about such; ${stated}.`;
}

function withoutAio(driver: Driver, bytes: number, mutex: Cell | undefined): string {
  const who = driver.provider === 'library' ? 'the library has no AIO' : 'there is no AIO here';
  const stated = `${who}, so nothing is queued below that a request could be staged for; Cameron 2018 is not about such.`;
  if (!mutex) return stated;
  return `${stated} With ${formatSize(bytes)} the caller's own thread (mutex) reaches ${percent(mutex)} of what worker lanes do unchained.`;
}

function outcome({ arm, verdict, ratio, low, high }: Comparison, rounds: number): string {
  const interval = `${arm} is ${ratio.toFixed(2)} times as fast, 95 %: ${low.toFixed(2)} to ${high.toFixed(2)}`;
  if (rounds < leastRounds) return `${rounds} rounds are too few to show a gain (${interval}).`;
  if (verdict === 'does not differ') return `no gain shown from queueing after the build (${interval}).`;
  return ratio > 1
    ? `queueing after the build is faster (${interval}), as Cameron 2018 claims.`
    : `queueing after the build is slower (${interval}), against Cameron 2018's claim.`;
}

const percent = ({ percentOfUnchained }: Cell) =>
  percentOfUnchained === null ? 'nothing, as it failed,' : `${percentOfUnchained.toFixed(0)} %`;

/** The size that Cameron 2018 has, or the one nearest to it. */
function nearestSize(results: Cell[]): number {
  const distance = (bytes: number) => Math.abs(Math.log(bytes / publishedBytes));
  return results.map((cell) => cell.bytes).sort((a, b) => distance(a) - distance(b))[0] ?? publishedBytes;
}
