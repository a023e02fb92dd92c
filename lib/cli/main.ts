#!/usr/bin/env node
import { withoutKeys } from '../base/without-keys.js';
import { VerityError } from '../verity/error.js';
import { CliError, helpText, parseInvocation } from './command.js';
import { allCommands, commands } from './commands.js';
import { statusOf } from './error-status.js';
import { errorWords, namedErrors } from './error-words.js';
import { Exit } from './exit.js';
import { hideKeys } from './hide-keys.js';

async function overview(): Promise<string> {
  const rows = (await allCommands()).map((command) => `  ${command.name.padEnd(10)} ${command.summary}`);
  return ['Usage: dmalg COMMAND ...', '', ...rows, '', "'dmalg COMMAND --help' explains a command.", ''].join('\n');
}

/** A line; of verity's, veritysetup's own, which scripts may look for, and then what it leaves to guessing. */
function report(error: unknown): string {
  const message = errorWords(error);
  if (!(error instanceof VerityError)) return `dmalg: ${message}\n`;
  return `${message}\n${error.detail === undefined ? '' : `dmalg: ${namedErrors(error.detail)}\n`}`;
}

async function main(argv: string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h') {
    (name ? process.stdout : process.stderr).write(await overview());
    return name ? Exit.done : Exit.usage;
  }
  try {
    if (!Object.hasOwn(commands, name)) throw new CliError(`unknown command '${name}'; see 'dmalg --help'`);
    const command = await commands[name]!();
    const invocation = parseInvocation(command, rest);
    if (invocation.values.help) {
      process.stdout.write(helpText(command));
      return Exit.done;
    }
    return await command.run(invocation);
  } catch (error) {
    process.stderr.write(report(error));
    if (rest.includes('--debug') && error instanceof Error) process.stderr.write(`${withoutKeys(error.stack ?? '')}\n`);
    return statusOf(error);
  }
}

hideKeys(process.argv.slice(2));
process.exitCode = await main(process.argv.slice(2));
