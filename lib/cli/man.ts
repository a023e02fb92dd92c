import { readFileSync } from 'node:fs';
import { allOptions, CliError, type Command } from './command.js';
import { allCommands } from './commands.js';
import { Exit, exitStatuses } from './exit.js';

export const man: Command = {
  name: 'man',
  usage: '',
  summary: 'Prints the manual page of all commands: dmalg man | man -l -',
  options: {},
  async run({ positionals }) {
    if (positionals.length > 0) throw new CliError(`expected no arguments, got '${positionals.join(' ')}'`);
    process.stdout.write(manPage(await allCommands()));
    return Exit.done;
  },
};

/** dmalg.1, for man-db and mandoc (man(7)): what --help says of every command, and nothing else. */
function manPage(commands: readonly Command[]): string {
  const { version, description } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  return [
    `.TH DMALG 1 "" "dmalg ${version}" "User Commands"`,
    '.SH NAME',
    `dmalg \\- ${roff(description)}`,
    '.SH SYNOPSIS',
    '.nf',
    ...commands.map(({ name, usage }) => roff(`dmalg ${name} ${usage}`.trimEnd())),
    '.fi',
    ...commands.flatMap(commandSection),
    '.SH EXIT STATUS',
    `${roff(exitStatuses)}.`,
    '',
  ].join('\n');
}

function commandSection(command: Command): string[] {
  const options = Object.entries(allOptions(command)).flatMap(([name, { short, value, help }]) => [
    '.TP',
    `\\fB${roff(`${short ? `-${short}, ` : ''}--${name}`)}\\fR${value ? ` \\fI${roff(value)}\\fR` : ''}`,
    roff(help),
  ]);
  // Its lines and columns are part of what it says.
  const details = command.details ? ['.PP', '.nf', ...command.details.trim().split('\n').map(roff), '.fi'] : [];
  return [`.SH "${command.name.toUpperCase()}"`, roff(command.summary), ...details, ...options];
}

/** As it is, for troff: nothing of it is a request, a minus is one that can be copied. */
function roff(line: string): string {
  const text = line.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq');
  return /^\./.test(text) ? `\\&${text}` : text;
}
