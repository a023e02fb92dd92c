#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { nearest } from '../base/nearest.js';
import { withoutKeys, withoutKeysOf } from '../base/without-keys.js';
import { VerityError } from '../verity/error.js';
import { CliError, type Command, helpText, parseInvocation } from './command.js';
import { allCommands, commands } from './commands.js';
import { statusOf } from './error-status.js';
import { errorWords, namedErrors } from './error-words.js';
import { Exit } from './exit.js';
import { hideKeys } from './hide-keys.js';
import { signalStatus } from './stop-signals.js';

async function overview(): Promise<string> {
  const rows = (await allCommands()).map((command) => `  ${command.name.padEnd(10)} ${command.summary}`);
  return [
    'Usage: dmalg COMMAND ...',
    '',
    ...rows,
    '',
    "'dmalg help COMMAND' explains a command, 'dmalg help COMMAND VERB' a verb of it.",
    '',
  ].join('\n');
}

/** A line; of verity's, veritysetup's own, which scripts may look for, and then what it leaves to guessing. */
function report(error: unknown, argv: readonly string[]): string {
  const message = withoutKeysOf(argv, errorWords(error));
  if (!(error instanceof VerityError)) return `dmalg: ${message}\n`;
  return `${message}\n${error.detail === undefined ? '' : `dmalg: ${namedErrors(error.detail)}\n`}`;
}

/** A reader that has gone ends a command silently, as SIGPIPE would; what else keeps stdout from being written is an error. */
function watchOutputs(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.stderr.write(`dmalg: stdout: ${errorWords(error)}\n`);
    process.exit(error.code === 'EPIPE' ? signalStatus('SIGPIPE') : Exit.device);
  });
  // There is nobody to tell.
  process.stderr.on('error', () => {});
}

function version(): string {
  const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return `dmalg ${JSON.parse(manifest).version}\n`;
}

async function load(name: string): Promise<Command> {
  if (Object.hasOwn(commands, name)) return commands[name]!();
  const near = nearest(name, Object.keys(commands));
  throw new CliError(`unknown command '${name}'${near ? `, did you mean '${near}'?` : ''}; see 'dmalg --help'`);
}

/** `help`, `help COMMAND`, `help COMMAND VERB`. */
async function help([name, verb, more]: string[]): Promise<string> {
  if (name === undefined) return overview();
  const command = await load(name);
  if (more !== undefined || (verb !== undefined && !Object.hasOwn(command.verbs ?? {}, verb)))
    throw new CliError(`help: '${more ?? verb}' is no verb of ${name}; see 'dmalg ${name} --help'`);
  return helpText(command, verb);
}

async function main(argv: string[]): Promise<number> {
  const [name, ...rest] = argv;
  try {
    if (name === undefined) {
      process.stderr.write(await overview());
      return Exit.usage;
    }
    if (['--help', '-h', 'help'].includes(name)) {
      process.stdout.write(await help(rest));
      return Exit.done;
    }
    if (name === '--version' || name === '-V') {
      process.stdout.write(version());
      return Exit.done;
    }
    const command = await load(name);
    const invocation = parseInvocation(command, rest);
    if (invocation.values.help) {
      process.stdout.write(helpText(command, invocation.positionals[0]));
      return Exit.done;
    }
    return await command.run(invocation);
  } catch (error) {
    process.stderr.write(report(error, argv));
    if (rest.includes('--debug') && error instanceof Error) process.stderr.write(`${withoutKeys(error.stack ?? '')}\n`);
    return statusOf(error);
  }
}

watchOutputs();
hideKeys(process.argv.slice(2));
process.exitCode = await main(process.argv.slice(2));
