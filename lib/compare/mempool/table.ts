import { formatLeftOut } from '../text/group-table.js';
import { alignTable, formatMemory, formatNumber, formatSize } from '../text/table.js';
import { explainDeadlock } from './conclusion.js';
import type { MempoolReport, StackResult } from './mempool.js';

/** What became of each stack, a line each. */
export function stackRows({ stacks, method }: MempoolReport): string[][] {
  const head = [
    'verity on verity',
    'in flight',
    'mempools',
    'reserve',
    `reads of ${formatSize(method.bytes)}`,
    'bytes',
  ];
  const rows = stacks.map((each) => [
    `${each.depth} devices`,
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
    `${devices} devices`,
    pools,
    `${reserve}`,
    formatMemory(bytes),
  ]);
  return [['held, nothing in flight', 'mempools', 'reserve', 'bytes'], ...rows];
}

/** Says that there is no other memory than the mempools'. */
export const withoutMemory = 'There is no memory but the reserves: an element is there, or one waits for it.';

/** A deadlock, where it was, and why nobody gets on. */
export function formatDeadlock(stack: StackResult): string {
  return `deadlock, ${stack.inFlight} in flight, reserve ${stack.reserve}: ${explainDeadlock(stack)}`;
}

/** The report for the terminal, behind its environment. */
export function formatMempool(report: MempoolReport): string {
  const { stacks, published } = report;
  const explained = stacks.filter(({ deadlock }) => deadlock.length > 0).slice(0, 3);
  return [
    withoutMemory,
    '',
    ...alignTable(stackRows(report)),
    '',
    ...explained.map(formatDeadlock),
    '',
    ...alignTable(memoryRows(report)),
    ...report.omitted.map(formatLeftOut),
    `document 5: ${published.devices} devices, ${formatMemory(published.bytes)} with a reserve of 16`,
    '',
    `mempool: ${report.conclusion}`,
    '',
  ].join('\n');
}

function outcome({ deadlock, done, reads, seconds }: StackResult, bytes: number): string {
  if (deadlock.length > 0) return `DEADLOCK after ${done}`;
  return seconds ? `${formatNumber((reads * bytes) / seconds / 2 ** 20)} MiB/s` : '';
}
