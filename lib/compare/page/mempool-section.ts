import type { MempoolReport } from '../mempool/mempool.js';
import { formatDeadlocks, memoryRows, stackRows, withoutMemory } from '../mempool/table.js';
import { formatLeftOut } from '../text/group-table.js';
import { formatMemory, formatNumber } from '../text/table.js';
import { barChart } from './bar-chart.js';
import { type Markup, markup } from './markup.js';
import { pageTable } from './page-table.js';
import { questions } from './question.js';
import type { Section } from './section.js';
import { stackGrid } from './stack-grid.js';

const mebibyte = 2 ** 20;

export function mempoolSection(report: MempoolReport): Section {
  const { stacks, memory, published } = report;
  return {
    conclusions: [report.conclusion],
    body: markup`<p>${withoutMemory}${formatDeadlocks(stacks, 1).map((each) => ` The first ${each}.`)}</p>
<div class="charts">
${stackGrid(stacks, 'per device')}${stackGrid(stacks, 'shared')}${memory.length > 0 ? memoryChart(report) : undefined}</div>
${pageTable('Stacks of devices under load', stackRows(report))}${pageTable('Memory held', memoryRows(report))}<p>${published.source}: ${published.claim}; ${published.devices} devices hold ${formatMemory(published.bytes)} with a reserve of 16.</p>
`,
    leftOut: report.omitted.map(formatLeftOut),
  };
}

function memoryChart({ memory, published }: MempoolReport): Markup {
  const name = (pools: string, reserve: number) => `${pools}, reserve ${reserve}`;
  // The document's 59 devices have mempools of their own, with the kernel's reserve.
  const base = name('per device', 16);
  return barChart({
    title: `Held by ${memory[0]!.devices} verity devices, nothing in flight`,
    unit: 'MiB',
    bars: memory.map(({ pools, reserve, bytes }) => ({
      name: name(pools, reserve),
      value: bytes / mebibyte,
      text: formatMemory(bytes),
      published: name(pools, reserve) === base ? Number(formatNumber(published.bytes / mebibyte)) : undefined,
    })),
    base,
    source: questions.mempool.document,
  });
}
