import { hasSpeed } from '../measure/arm-result.js';
import type { Group, GroupResult, GroupsReport, LeftOut, PublishedFigure } from '../measure/group.js';
import type { Verdict } from '../measure/verdict.js';
import { alignTable, formatMicroseconds, formatNumber, formatRate } from './table.js';

const indent = (lines: string[]) => lines.map((line) => `  ${line}`.trimEnd());

/** A group for the terminal: a line for each arm, and the verdicts. */
export function formatGroup(group: Group): string {
  const verdicts = group.comparisons.map(formatVerdict);
  return ['', group.name, '', ...indent(alignTable(groupRows(group))), ...indent(verdicts), ''].join('\n');
}

/** Rates, latencies, costs, what was measured besides, and outputs, an arm a line. */
export function groupRows(group: Group): string[][] {
  const figures = Object.keys(group.results[0]?.figures ?? {});
  const head = [
    '',
    'MiB/s',
    `% of ${group.base}`,
    'depth',
    'p50 us',
    'p99 us',
    'CPU s',
    'switches',
    ...figures,
    'outputs',
  ];
  const rows = group.results.map((each) => [
    each.arm,
    formatRate(each.throughput),
    formatPercent(each),
    `${each.depth}`,
    formatMicroseconds(each.latency.p50),
    formatMicroseconds(each.latency.p99),
    each.usage.cpuSeconds.toFixed(2),
    `${each.usage.voluntarySwitches + each.usage.involuntarySwitches}`,
    ...figures.map((name) => (hasSpeed(each) ? formatNumber(each.figures[name]!) : '')),
    formatOutputs(each),
  ]);
  return [head, ...rows];
}

function formatPercent({ percentOfBase, percentSpread }: GroupResult): string {
  if (percentOfBase === null || percentSpread === null) return '';
  return `${percentOfBase.toFixed(0)} ±${((percentSpread.high - percentSpread.low) / 2).toFixed(0).padEnd(3)}`;
}

/** What came of the outputs; of an arm that failed, why. */
function formatOutputs({ failed, error, outputsOk, outputsChecked, wrongOutputs }: GroupResult): string {
  if (failed > 0) return `${failed} FAILED${error === undefined ? '' : `: ${error}`}`;
  return outputsOk ? `${outputsChecked} ok` : `${(100 * wrongOutputs).toFixed(2)} % WRONG`;
}

/** 'a against b: x 1.20 (1.10 to 1.31), differs'. */
export function formatVerdict({ arm, against, ratio, low, high, verdict }: Verdict): string {
  return `${arm} against ${against}: x ${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)}), ${verdict}`;
}

/** What stands below the groups: what is not there, the document's figures, what it comes to. */
export function formatRest({ experiment, omitted, published, conclusions }: GroupsReport): string {
  const sources = [...new Set(published.map(({ source }) => source))];
  return [
    '',
    ...omitted.map(formatLeftOut),
    ...sources.map(
      (source) =>
        `${source}: ${published
          .filter((each) => each.source === source)
          .map(said)
          .join(', ')}`,
    ),
    '',
    ...conclusions.map((text) => `${experiment}: ${text}`),
    '',
  ].join('\n');
}

const said = ({ what, value, unit }: PublishedFigure) => `${what} ${value} ${unit}`;

export function formatLeftOut({ group, arm, reason }: LeftOut): string {
  const what = [arm, group].filter((each) => each !== undefined).join(' of ');
  return `left out: ${what ? `${what}: ` : ''}${reason}`;
}
