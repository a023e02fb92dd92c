import type { MempoolReport, StackResult } from './mempool.js';
import { explainDeadlock } from './mempool-conclusion.js';
import { alignTable, formatMemory, formatNumber, formatSize } from './table.js';

/** The report for the terminal, behind its environment. */
export function formatMempool(report: MempoolReport): string {
  const { stacks, memory, method, published } = report;
  const rows = stacks.map((each) => [
    `${each.depth} devices`,
    `${each.inFlight}`,
    each.pools,
    `${each.reserve}`,
    outcome(each, method.bytes),
    each.outputsOk ? 'ok' : 'WRONG',
  ]);
  const head = [
    'verity on verity',
    'in flight',
    'mempools',
    'reserve',
    `reads of ${formatSize(method.bytes)}`,
    'bytes',
  ];
  const explained = stacks.filter(({ deadlock }) => deadlock.length > 0).slice(0, 3);
  const held = memory.map(({ devices, pools, reserve, bytes }) => [
    `${devices} devices`,
    pools,
    `${reserve}`,
    formatMemory(bytes),
  ]);
  return [
    'There is no memory but the reserves: an element is there, or one waits for it.',
    '',
    ...alignTable([head, ...rows]),
    '',
    ...explained.map(
      (each) => `deadlock, ${each.inFlight} in flight, reserve ${each.reserve}: ${explainDeadlock(each)}`,
    ),
    '',
    ...alignTable([['held, nothing in flight', 'mempools', 'reserve', 'bytes'], ...held]),
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
