import { baseArm } from '../iv/arms.js';
import { requestsFor } from '../iv/iv.js';
import type { IvReport } from '../iv/report.js';
import { type AllReport, type Report, reportsOf } from '../report.js';

const unique = <T>(values: T[]) => [...new Set(values)];

/** What to type to measure the same again. */
export function repeatCommand(report: Report | AllReport): string {
  const { lab } = report.environment;
  return [
    `dmalg compare ${report.experiment}`,
    ...(report.experiment === 'iv' ? ivOptions(report) : []),
    ...(reportsOf(report).every(({ method }) => method.quick) ? ['--quick'] : []),
    ...(lab ? [`--in-lab --kernel ${quote(lab)}`] : []),
  ].join(' ');
}

/** Drivers that are not here are asked for again: the reason may be gone. */
function ivOptions({ results, omitted, method }: IvReport): string[] {
  const arms = unique([...results, ...omitted].flatMap(({ arm }) => arm ?? []));
  const drivers = unique([...results, ...omitted].map(({ driver }) => driver));
  const sizes = unique(results.map(({ bytes }) => bytes));
  const [first] = results;
  const usual = results.every(({ bytes, requests }) => requests === requestsFor(bytes, method.quick));
  return [
    `--drivers ${quote(drivers.join(','))}`,
    `--sizes ${sizes.join(',')}`,
    `--arms ${quote(arms.filter((arm) => arm !== baseArm).join(',') || baseArm)}`,
    `--repetitions ${first?.repetitions ?? 1}`,
    ...(usual ? [] : [`--requests ${first?.requests ?? 1}`]),
  ];
}

/** A word for the shell. */
function quote(word: string): string {
  return /^[\w.,:=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
