import { readFileSync } from 'node:fs';
import { allOptions, CliError, type Command, commonOptions, type OptionHelp } from './command.js';
import { allCommands } from './commands.js';
import { Exit, exitStatuses } from './exit.js';

export const man: Command = {
  name: 'man',
  usage: '',
  summary: 'Prints the manual page of all commands: dmalg man | man -l -',
  example: 'dmalg man > dmalg.1',
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
    '.SH EXAMPLES',
    ...examples(commands),
    '.SH EXIT STATUS',
    `${roff(exitStatuses)}.`,
    '',
  ].join('\n');
}

function commandSection(command: Command): string[] {
  // Its lines and columns are part of what it says.
  const details = command.details ? ['.PP', '.nf', ...command.details.trim().split('\n').map(roff), '.fi'] : [];
  const verbs = Object.entries(command.verbs ?? {}).flatMap(([name, verb]) => [
    `.SS "dmalg ${command.name} ${name} ${roff(verb.usage ?? '')}"`,
    roff(`${verb.summary[0]!.toUpperCase()}${verb.summary.slice(1)}.`),
    ...optionRows(verb.options),
  ]);
  const options = command.verbs
    ? ['.PP', 'Every verb takes:', ...optionRows(commonOptions)]
    : optionRows(allOptions(command));
  return [`.SH "${command.name.toUpperCase()}"`, roff(command.summary), ...details, ...options, ...verbs];
}

function optionRows(options: Record<string, OptionHelp>): string[] {
  return Object.entries(options).flatMap(([name, { short, value, help }]) => [
    '.TP',
    `\\fB${roff(`${short ? `-${short}, ` : ''}--${name}`)}\\fR${value ? ` \\fI${roff(value)}\\fR` : ''}`,
    roff(help),
  ]);
}

function examples(commands: readonly Command[]): string[] {
  return commands
    .flatMap(({ example, verbs = {} }) => [example, ...Object.values(verbs).map((verb) => verb.example)])
    .filter((example) => example !== undefined)
    .flatMap((example) => ['.PP', '.nf', roff(example), '.fi']);
}

/** As it is, for troff: nothing of it is a request, a minus is one that can be copied. */
function roff(line: string): string {
  const text = line.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq');
  return /^\./.test(text) ? `\\&${text}` : text;
}
