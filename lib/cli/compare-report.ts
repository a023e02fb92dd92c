import { writeOutput } from './output.js';

/** Writes a whole report to the file named with --json, if there is one. */
export async function writeReport(report: object, json: string | undefined): Promise<void> {
  if (json !== undefined) await writeOutput(json, [Buffer.from(`${JSON.stringify(report, null, 2)}\n`)]);
}

/** Says that no report is written. Returns the exit status. */
export function reportInterrupted(): number {
  process.stderr.write('dmalg: interrupted; the report is not complete\n');
  return 130;
}
