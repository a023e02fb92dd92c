import { formatLeftOut } from '../text/group-table.js';
import { alignTable, formatMemory, formatNumber, formatSize } from '../text/table.js';
import { explainDeadlock } from './conclusion.js';
import type { MempoolReport, StackCase, StackResult } from './mempool.js';
import { stackTargets } from './stack.js';

/** '4 crypt devices' */
export const stackText = ({ depth, target }: Pick<StackCase, 'depth' | 'target'>): string =>
  `${depth} ${target} devices`;

/** What became of each stack, a line each. */
export function stackRows({ stacks, method }: MempoolReport): string[][] {
  const head = ['on each other', 'in flight', 'mempools', 'reserve', `bios of ${formatSize(method.bytes)}`, 'bytes'];
  const rows = stacks.map((each) => [
    stackText(each),
    `${each.inFlight}`,
    each.pools,
    `${each.reserve}`,
    outcome(each, method.bytes),
    each.outputsOk ? 'ok' : 'WRONG',
  ]);
  return [head, ...rows];
}

/** What the mempools hold while nothing is in flight. */
export function memoryRows({ memory }: MempoolReport): string[][] {
  const rows = memory.map(({ devices, pools, reserve, bytes }) => [
    `${devices} verity devices`,
    pools,
    `${reserve}`,
    formatMemory(bytes),
  ]);
  return [['held, nothing in flight', 'mempools', 'reserve', 'bytes'], ...rows];
}

/** Says that there is no other memory than the mempools'. */
export const withoutMemory = 'There is no memory but the reserves: an element is there, or one waits for it.';

/** So many deadlocks of each kind of stack, the least first: where each was, and why nobody gets on. */
export function formatDeadlocks(stacks: readonly StackResult[], most: number): string[] {
  const stopped = stacks.filter(({ deadlock }) => deadlock.length > 0);
  return stackTargets
    .flatMap((kind) => stopped.filter(({ target }) => target === kind).slice(0, most))
    .map((each) => {
      const { inFlight, reserve } = each;
      return `deadlock of ${stackText(each)}, ${inFlight} in flight, reserve ${reserve}: ${explainDeadlock(each)}`;
    });
}

/** The report for the terminal, behind its environment. */
export function formatMempool(report: MempoolReport): string {
  const { stacks, published } = report;
  return [
    withoutMemory,
    '',
    ...alignTable(stackRows(report)),
    '',
    ...formatDeadlocks(stacks, 2),
    '',
    ...alignTable(memoryRows(report)),
    ...report.omitted.map(formatLeftOut),
    `Patocka 2025: ${published.devices} devices, ${formatMemory(published.bytes)} with a reserve of 16`,
    '',
    `mempool: ${report.conclusion}`,
    '',
  ].join('\n');
}

function outcome({ deadlock, done, bios, seconds }: StackResult, bytes: number): string {
  if (deadlock.length > 0) return `DEADLOCK after ${done}`;
  return seconds ? `${formatNumber((bios * bytes) / seconds / 2 ** 20)} MiB/s` : '';
}
