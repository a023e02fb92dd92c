import type { Omission } from '../measure/drivers.js';
import { alignTable, formatMicroseconds, formatRate, formatSize } from '../text/table.js';
import { hazardArm, ivArms, ivPublished } from './arms.js';
import type { DriverPart } from './iv.js';
import type { Cell, Comparison } from './report.js';

const indent = (lines: string[]) => lines.map((line) => `  ${line}`.trimEnd());
const unique = <T>(values: T[]) => [...new Set(values)];

/** All about one driver. */
export function formatDriver(part: DriverPart): string {
  const { driver, results, comparisons } = part;
  const module = driver.listed && driver.listed.module !== 'kernel' ? `, module ${driver.listed.module}` : '';
  return [
    '',
    `${driver.name} (${driver.provider}${module}; ${completions(part)})`,
    '',
    ...indent(percentTable(results)),
    '',
    ...indent(alignTable(detailRows(results))),
    '',
    ...indent(alignTable(verdictRows(comparisons))),
    ...formatOmitted(part.omitted),
    '',
    `  ${driver.name}: ${part.conclusion}`,
    '',
  ].join('\n');
}

export function formatOmitted(omitted: Omission[]): string[] {
  return omitted.map((each) => `  left out: ${formatOmission(each)}`);
}

export function formatOmission({ driver, arm, reason }: Omission): string {
  return `${arm ? `${arm} on ` : ''}${driver}: ${reason}`;
}

/** What the engine's completions were, over the whole driver. */
function completions({ driver, results }: DriverPart): string {
  if (results.some((cell) => cell.serialisedByKernel)) return 'serialised by the kernel: no AIO';
  const queued = results.filter((cell) => cell.engine !== 'sync');
  if (driver.provider === 'library') return 'worker lanes';
  if (queued.some((cell) => cell.engine === 'lanes')) return 'worker lanes: no AIO here';
  return queued.some((cell) => cell.asynchronous) ? 'asynchronous AIO' : 'synchronous inside io_submit';
}

/** Rates in per cent, an arm a line; the last column says what the arm does. */
export function percentRows(results: Cell[]): string[][] {
  const sizes = unique(results.map((cell) => cell.bytes));
  const publishedSize = ivPublished[0]!.bytes;
  const rows = unique(results.map((cell) => cell.arm)).map((arm) => {
    const cells = sizes.map((bytes) => results.find((cell) => cell.arm === arm && cell.bytes === bytes));
    const theirs = ivPublished.find(({ arms }) => arms.includes(arm))?.percent;
    const what = ivArms.find(({ name }) => name === arm)?.what ?? '';
    return [arm, ...cells.map((cell) => (cell ? percent(cell) : '')), theirs ? `${theirs}` : '', what];
  });
  return [['% of unchained', ...sizes.map(formatSize), `Cameron 2018, ${formatSize(publishedSize)}`, ''], ...rows];
}

function percentTable(results: Cell[]): string[] {
  const rows = percentRows(results);
  const lines = alignTable(rows.map((row) => row.slice(0, -1)));
  const width = Math.max(...lines.map((line) => line.length));
  return lines.map((line, index) => (index === 0 ? line : `${line.padEnd(width)}   ${rows[index]!.at(-1)}`));
}

/** '52 ±3', or that it failed. */
export function percent(cell: Cell): string {
  if (cell.percentOfUnchained === null || cell.percentSpread === null) return 'failed';
  if (cell.arm.startsWith('unchained')) return '100    ';
  const { low, high } = cell.percentSpread;
  return `${cell.percentOfUnchained.toFixed(0)} ±${((high - low) / 2).toFixed(0).padEnd(3)}`;
}

/** Rates, latencies, costs and outputs, a cell a line. */
export function detailRows(results: Cell[]): string[][] {
  const head = ['', 'size', 'MiB/s', 'depth', 'p50 us', 'p95 us', 'p99 us', 'CPU s', 'switches', 'async', 'outputs'];
  const rows = results.map((cell) => [
    cell.arm,
    formatSize(cell.bytes),
    formatRate(cell.throughput),
    `${cell.depth}`,
    formatMicroseconds(cell.latency.p50),
    formatMicroseconds(cell.latency.p95),
    formatMicroseconds(cell.latency.p99),
    cell.usage.cpuSeconds.toFixed(2),
    `${cell.usage.voluntarySwitches + cell.usage.involuntarySwitches}`,
    cell.serialisedByKernel ? 'serialised' : `${(100 * cell.asynchronousShare).toFixed(0)} %`,
    outputs(cell),
  ]);
  return [head, ...rows];
}

function outputs(cell: Cell): string {
  const failed = cell.failed > 0 ? `, ${cell.failed} failed` : '';
  if (cell.failed > 0 && cell.arm !== hazardArm)
    return `${cell.failed} FAILED${cell.error === undefined ? '' : `: ${cell.error}`}`;
  if (cell.outputsOk) return `${cell.outputsChecked} ok`;
  const share = 100 * cell.wrongOutputs;
  return `${share < 1 ? share.toFixed(2) : share.toFixed(0)} % WRONG${failed}`;
}

/** Ratios and verdicts, a pair of arms a line. */
export function verdictRows(comparisons: Comparison[]): string[][] {
  const sizes = unique(comparisons.map(({ bytes }) => bytes));
  const pairs = unique(comparisons.map(({ arm, against }) => `${arm} : ${against}`));
  const rows = pairs.map((pair) => [
    pair,
    ...sizes.map((bytes) => {
      const found = comparisons.find((each) => each.bytes === bytes && `${each.arm} : ${each.against}` === pair);
      return found ? `x ${found.ratio.toFixed(2)} ${found.verdict.padEnd(15)}` : '';
    }),
  ]);
  return [['speed against', ...sizes.map(formatSize)], ...rows];
}
