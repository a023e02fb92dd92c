import type { Group, GroupResult, GroupsReport, PublishedFigure } from '../measure/group.js';
import { formatLeftOut, formatVerdict, groupRows } from '../text/group-table.js';
import { formatNumber, formatRate } from '../text/table.js';
import { type Bar, barChart, longestOf } from './bar-chart.js';
import { type Markup, markup } from './markup.js';
import { pageTable } from './page-table.js';
import { questions } from './question.js';
import type { Section } from './section.js';
import { splitChart } from './split-chart.js';

const mebibyte = 2 ** 20;
const rateUnit = 'MiB/s';
/** How figures are named that are microseconds. */
const microseconds = / us$/;

export function groupsSection(report: GroupsReport): Section {
  const { groups, published } = report;
  return {
    conclusions: report.conclusions,
    body: markup`<div class="charts">
${groups.map((group) => [rateChart(report, group), timeChart(report, group)])}</div>
${groups.map(
  (group) => markup`${pageTable(group.name, groupRows(group))}<ul class="verdicts">${group.comparisons.map(
    (verdict) => markup`<li>${formatVerdict(verdict)}</li>`,
  )}</ul>
`,
)}${published.length > 0 ? pageTable('Published, and measured here', publishedRows(report)) : undefined}`,
    leftOut: report.omitted.map(formatLeftOut),
  };
}

/** What is no way to do the work, but the memory that it is done on: many times as fast, it is told in words. */
const bareArm = 'RAM alone';

function rateChart(report: GroupsReport, group: Group): Markup {
  const { experiment, published } = report;
  const publishedOf = (result: GroupResult) =>
    published.find((each) => each.unit === rateUnit && isOf(each, group, result))?.value;
  const bare = group.results.find(({ arm }) => arm === bareArm);
  return barChart({
    title: group.name,
    unit: rateUnit,
    bars: group.results
      .filter((result) => result !== bare)
      .map((result): Bar => ({ name: result.arm, ...rate(result), published: publishedOf(result) })),
    base: group.base,
    source: questions[experiment].document,
    scale: longestOf(
      alikeGroups(report, group).flatMap(({ results }) => results.filter((one) => one.arm !== bareArm).map(rate)),
    ),
    ...(bare && { note: `${bareArm}: ${rate(bare).text}${bare.throughput === null ? '' : ` ${rateUnit}`}` }),
  });
}

/** Groups that differ by the direction alone are looked at together. */
function alikeGroups({ groups }: GroupsReport, { name }: Group): Group[] {
  const load = (text: string) => text.replace(/^(read|write), /, '');
  return groups.filter((each) => load(each.name) === load(name));
}

function rate({ error, throughput, throughputSpread, outputsOk }: GroupResult): Omit<Bar, 'name'> {
  if (throughput === null || throughputSpread === null)
    return { value: undefined, text: error === undefined ? 'failed' : `failed: ${error}` };
  return {
    value: throughput / mebibyte,
    spread: { low: throughputSpread.low / mebibyte, high: throughputSpread.high / mebibyte },
    text: `${formatNumber(throughput / mebibyte)}${outputsOk ? '' : ', outputs WRONG'}`,
    isWrong: !outputsOk,
  };
}

/** Where a bio's time goes, in an experiment that splits it. */
function timeChart({ experiment }: GroupsReport, { name, results }: Group): Markup | undefined {
  const figures = Object.keys(results[0]?.figures ?? {});
  if (experiment !== 'units' || figures.length === 0 || !figures.every((figure) => microseconds.test(figure)))
    return undefined;
  return splitChart({
    title: `${name}: where the time goes`,
    unit: 'microseconds of a bio',
    parts: figures.map((figure) => figure.replace(microseconds, '')),
    bars: results.map(({ arm, figures: of }) => ({ name: arm, values: figures.map((figure) => of[figure] ?? 0) })),
  });
}

/** Whether the figure is of this arm here. */
function isOf(figure: PublishedFigure, group: Group, result: GroupResult): boolean {
  return figure.arm === result.arm && (figure.group ?? group.name) === group.name;
}

/** A figure stands beside the same quantity measured here, or alone: rates beside rates, and no other. */
function publishedRows({ published, groups }: GroupsReport): string[][] {
  const rows = published.map((figure) => {
    const here = groups.flatMap((group) =>
      group.results
        .filter((result) => figure.unit === rateUnit && isOf(figure, group, result) && result.throughput !== null)
        .map(({ throughput }) => `${formatRate(throughput)} ${rateUnit}`),
    );
    const like = here.length > 0 ? [figure.arm, figure.group].filter((each) => each !== undefined).join(' of ') : '';
    return [figure.what, `${figure.value} ${figure.unit}`, like, here.join(', '), figure.source];
  });
  return [['', 'published', 'its like here', 'measured here', 'source'], ...rows];
}
