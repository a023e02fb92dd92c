import type { Driver } from './drivers.js';
import { ivPublished } from './iv-arms.js';
import type { Cell, Comparison } from './report.js';
import { formatSize } from './table.js';

const published = new Map(ivPublished.flatMap(({ arms, percent }) => arms.map((arm) => [arm, percent] as const)));
const publishedBytes = ivPublished[0]!.bytes;

/** What the measurement says about document 4's claim, in a sentence. */
export function concludeIv(driver: Driver, results: Cell[], comparisons: Comparison[]): string {
  const bytes = nearestSize(results);
  const cells = new Map(results.filter((cell) => cell.bytes === bytes).map((cell) => [cell.arm, cell]));
  if ([...cells.values()].some((cell) => cell.serialisedByKernel))
    return "the kernel serialises: every request was complete when io_submit returned, so none ever waited for another's IV. This is no AIO, and document 4's claim cannot be tested on this kernel.";
  const mutex = cells.get('mutex-aio') ?? cells.get('mutex');
  const staged = cells.get('staged-8') ?? cells.get('staged-1');
  const pair = comparisons.find(
    (each) => each.bytes === bytes && each.arm === staged?.arm && each.against === mutex?.arm,
  );
  if (!mutex || !staged || !pair)
    return "mutex and staged were not both measured: nothing to say about document 4's claim.";
  const stated = `with ${formatSize(bytes)} ${mutex.arm} keeps ${percent(mutex)} of unchained and ${staged.arm} ${percent(staged)}`;
  const theirs =
    bytes === publishedBytes ? ` (document 4: ${published.get(mutex.arm)} % and ${published.get(staged.arm)} %)` : '';
  return `${stated}${theirs}: ${outcome(pair)}${aside(driver, cells)}`;
}

function outcome({ verdict, ratio, low, high }: Comparison): string {
  const interval = `${ratio.toFixed(2)} times as fast, 95 %: ${low.toFixed(2)} to ${high.toFixed(2)}`;
  if (verdict === 'does not differ')
    return `no difference shown (${interval}), so no gain from queueing after the build.`;
  return ratio > 1
    ? `queueing after the build is faster (${interval}), as document 4 claims.`
    : `queueing after the build is slower (${interval}), against document 4's claim.`;
}

function aside(driver: Driver, cells: Map<string, Cell>): string {
  if (driver.provider === 'library') return ' The library has lanes and no sockets: staged copies nothing ahead here.';
  const asynchronous = [...cells.values()].some((cell) => cell.asynchronous);
  return asynchronous ? '' : ' The driver is synchronous: it runs inside io_submit, and document 4 is not about such.';
}

const percent = (cell: Cell) => `${cell.percentOfUnchained.toFixed(0)} %`;

/** The size that document 4 has, or the one nearest to it. */
function nearestSize(results: Cell[]): number {
  const distance = (bytes: number) => Math.abs(Math.log(bytes / publishedBytes));
  return results.map((cell) => cell.bytes).sort((a, b) => distance(a) - distance(b))[0] ?? publishedBytes;
}
