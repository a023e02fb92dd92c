import { baseArm } from '../iv/arms.js';
import type { Cell, IvReport } from '../iv/report.js';
import { detailRows, formatOmission, percent, percentRows, verdictRows } from '../iv/table.js';
import { formatSize } from '../text/table.js';
import { type Bar, barChart, longestOf } from './bar-chart.js';
import { type Markup, markup } from './markup.js';
import { pageTable } from './page-table.js';
import { questions } from './question.js';
import type { Section } from './section.js';

export function ivSection(report: IvReport): Section {
  const drivers = [...new Set(report.results.map(({ driver }) => driver))];
  return {
    conclusions: report.conclusions.map(({ driver, text }) => `${driver}: ${text}`),
    body: markup`${drivers.map((driver) => driverPart(report, driver))}`,
    leftOut: report.omitted.map(formatOmission),
  };
}

function driverPart(report: IvReport, driver: string): Markup {
  const results = report.results.filter((cell) => cell.driver === driver);
  const comparisons = report.comparisons.filter((each) => each.driver === driver);
  const sizes = [...new Set(results.map(({ bytes }) => bytes))];
  return markup`<h3>${driver}</h3>
<div class="charts">
${sizes.map((bytes) => sizeChart(report, driver, bytes, longestOf(results.map(bar))))}</div>
${pageTable(`${driver}: rates`, percentRows(results))}${pageTable(`${driver}: figures`, detailRows(results))}${
  comparisons.length > 0 ? pageTable(`${driver}: how many times as fast`, verdictRows(comparisons)) : undefined
}`;
}

function sizeChart({ results, published }: IvReport, driver: string, bytes: number, scale: number): Markup {
  const bars = results
    .filter((cell) => cell.driver === driver && cell.bytes === bytes)
    .map((cell) => ({
      name: cell.arm,
      ...bar(cell),
      published: published.find((each) => each.bytes === bytes && each.arms.includes(cell.arm))?.percent,
    }));
  return barChart({
    title: `${driver}, ${formatSize(bytes)}`,
    unit: '% of the unchained rate',
    bars,
    base: baseArm,
    source: questions.iv.document,
    scale,
  });
}

function bar(cell: Cell): Omit<Bar, 'name'> {
  const text = percent(cell).trim();
  if (cell.percentOfUnchained === null || cell.percentSpread === null)
    return { value: undefined, text: cell.error === undefined ? text : `failed: ${cell.error}` };
  return {
    value: cell.percentOfUnchained,
    ...(cell.arm !== baseArm && { spread: cell.percentSpread }),
    text: cell.outputsOk ? text : `${text}, outputs WRONG`,
    isWrong: !cell.outputsOk,
  };
}
