import { accessSync, constants, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { renderPage } from '../../compare/page/page.js';
import type { AllReport, Report } from '../../compare/report.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { stringOption } from '../option-values.js';
import { writeOutput } from '../output.js';

/** Where a report goes. */
export interface Destination {
  /** The file of --json; '-' is stdout, and then tables go to stderr. */
  json: string | undefined;
  /** The file of --html, in the same way. */
  html?: string | undefined;
  quiet: boolean;
  /** Whether the report is to have the kernel's command line. */
  commandLine?: boolean;
}

/** Reads --json, --html and --quiet. What cannot be written is found out before minutes have gone into measuring. @throws CliError */
export function destinationOf(invocation: Invocation): Destination {
  const json = stringOption(invocation, 'json');
  const html = stringOption(invocation, 'html');
  if (json !== undefined) checkFile('json', json);
  if (html !== undefined) checkFile('html', html);
  if (json !== undefined && html !== undefined && resolve(json) === resolve(html))
    throw new CliError(`--html: expected another file than that of --json, got '${html}'`);
  return {
    json,
    html,
    quiet: invocation.values.quiet === true,
    commandLine: invocation.values['command-line'] === true,
  };
}

function checkFile(option: string, file: string): void {
  if (file === '-') return;
  try {
    accessSync(dirname(file), constants.W_OK);
  } catch (error) {
    throw new CliError(`--${option} ${file}: ${(error as Error).message}`, Exit.device);
  }
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory())
    throw new CliError(`--${option} ${file}: it is a folder`, Exit.device);
}

/** Where tables go: stdout may be the report's. */
export function tablesOf({ json, html }: Destination): NodeJS.WriteStream {
  return json === '-' || html === '-' ? process.stderr : process.stdout;
}

/** Writes a whole report to the files that were asked for. */
export async function writeReport(report: Report | AllReport, { json, html }: Destination): Promise<void> {
  if (json !== undefined) await writeOutput(json, [Buffer.from(`${JSON.stringify(report, null, 2)}\n`)]);
  if (html !== undefined) await writeOutput(html, [Buffer.from(renderPage(report))]);
}
