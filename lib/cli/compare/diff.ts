import { readFileSync } from 'node:fs';
import { diffRuns } from '../../compare/diff/diff.js';
import { formatDiff } from '../../compare/diff/table.js';
import type { AllReport, Report } from '../../compare/report.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { writeOutput } from '../output.js';
import { destinationOf, tablesOf } from './destination.js';

/** `compare diff BEFORE[,BEFORE2...] AFTER[,AFTER2...]`: the reports of two sides. @throws CliError */
export async function compareDiff(invocation: Invocation, files: string[]): Promise<number> {
  const [before, after, more] = files;
  if (before === undefined || after === undefined || more !== undefined)
    throw new CliError(`compare diff: expected two reports, got ${files.length}`);
  const to = destinationOf(invocation);
  const [first, second] = [before, after].map((side) => side.split(',').map(readReport));
  const diff = diffRuns(first!, second!);
  tablesOf(to).write(formatDiff(diff));
  if (to.json !== undefined) await writeOutput(to.json, [Buffer.from(`${JSON.stringify(diff, null, 2)}\n`)]);
  return Exit.done;
}

/** Reads what --json wrote. @throws CliError with the name of a file that is something else */
export function readReport(file: string): Report | AllReport {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CliError(`${file}: ${(error as Error).message}`, Exit.device);
  }
  const fault = faultOf(value);
  if (fault) throw new CliError(`${file}: no report of dmalg compare: ${fault}`, Exit.device);
  return value as Report | AllReport;
}

/** What each experiment's report must have. */
const lists: Record<(Report | AllReport)['experiment'], string[]> = {
  iv: ['results', 'comparisons', 'omitted', 'published', 'conclusions'],
  workqueue: ['groups', 'omitted', 'published', 'conclusions'],
  units: ['groups', 'omitted', 'published', 'conclusions'],
  verity: ['groups', 'omitted', 'published', 'conclusions'],
  mempool: ['stacks', 'memory'],
  all: ['reports'],
};

function faultOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'it is no object';
  const { version, experiment, environment } = value as Record<string, unknown>;
  if (version !== 1) return `expected version 1, got ${JSON.stringify(version) ?? 'none'}`;
  if (typeof experiment !== 'string' || !Object.hasOwn(lists, experiment))
    return `expected an experiment (${Object.keys(lists).join(', ')}), got ${JSON.stringify(experiment) ?? 'none'}`;
  const fields = value as Record<string, unknown>;
  if (typeof environment !== 'object' || environment === null) return `its environment is missing`;
  const missing = lists[experiment as keyof typeof lists].find((name) => !Array.isArray(fields[name]));
  if (missing) return `its ${missing} are missing`;
  if (experiment !== 'all') return undefined;
  return (fields['reports'] as unknown[]).map(faultOf).find((fault) => fault !== undefined);
}
