import { parseArgs } from 'node:util';
import { Exit } from './exit.js';

type ParseArgsOptions = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>;

/** An error for the person at the terminal: one line, cause and remedy, and the exit status that goes with it. What of it may be a key is taken out before it is printed. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    message: string,
    readonly status: number = Exit.usage,
  ) {
    super(message);
  }
}

export interface OptionHelp {
  type: 'string' | 'boolean';
  short?: string;
  multiple?: boolean;
  /** Placeholder of the value in the help text, e.g. `FILE`. */
  value?: string;
  help: string;
}

export interface Invocation {
  values: Record<string, string | boolean | string[] | undefined>;
  positionals: string[];
}

/** What a command does when its first word is this one, with the options that it takes then. */
export interface Verb {
  /** What stands after the name on the usage line. */
  usage?: string;
  summary: string;
  /** A line of a shell that works in an empty folder. */
  example?: string;
  options: Record<string, OptionHelp>;
  run(invocation: Invocation): Promise<number>;
}

/** One row of the program's command table. */
export interface Command extends Verb {
  name: string;
  usage: string;
  /** Further paragraphs of `--help`. */
  details?: string;
  verbs?: Record<string, Verb>;
}

/** Options every command takes. */
export const commonOptions: Record<string, OptionHelp> = {
  help: { type: 'boolean', short: 'h', help: 'print this help' },
  quiet: { type: 'boolean', help: 'no progress on stderr' },
  debug: { type: 'boolean', help: 'print the stack trace of an error' },
};

/** The options of a command, or of a verb, and those of all commands; a letter that it gives an option of its own is not theirs. */
export function allOptions(command: Verb): Record<string, OptionHelp> {
  const letters = new Set(Object.values(command.options).map(({ short }) => short));
  const common = Object.entries(commonOptions).map(([name, { short, ...option }]) => {
    return [name, short && !letters.has(short) ? { short, ...option } : option] as const;
  });
  return { ...command.options, ...Object.fromEntries(common) };
}

/** @throws CliError for what is no option of the command, or is another verb's */
export function parseInvocation(command: Command, argv: string[]): Invocation {
  const options: ParseArgsOptions = {};
  for (const [name, option] of Object.entries(allOptions(command))) {
    options[name] = { type: option.type, ...(option.short && { short: option.short }), multiple: !!option.multiple };
  }
  try {
    const { values, positionals } = parseArgs({ args: argv, options, allowPositionals: true, strict: true });
    checkForeign(command, positionals[0] ?? '', Object.keys(values));
    return { values: values as Invocation['values'], positionals };
  } catch (error) {
    const message = (error as Error).message.split('. To specify')[0];
    throw new CliError(`${message}; see 'dmalg ${command.name} --help'`);
  }
}

function checkForeign({ name, verbs = {} }: Command, verb: string, given: string[]): void {
  if (!Object.hasOwn(verbs, verb)) return;
  const own = { ...verbs[verb]!.options, ...commonOptions };
  const foreign = given.find((option) => !Object.hasOwn(own, option));
  if (foreign) throw new Error(`--${foreign}: not an option of ${name} ${verb}`);
}

/** Of a command; or of its verb, where there is one of this name. */
export function helpText(command: Command, verbName = ''): string {
  const verb = command.verbs && Object.hasOwn(command.verbs, verbName) ? command.verbs[verbName] : undefined;
  const name = verb ? `${command.name} ${verbName}` : command.name;
  const { usage = '', summary, example, options }: Verb = verb ?? command;
  const lines = [`Usage: dmalg ${name} ${usage}`.trimEnd(), '', verb ? sentence(summary) : summary];
  if (!verb && command.details) lines.push('', command.details.trim());
  if (!verb && command.verbs) lines.push('', `'dmalg help ${command.name} VERB' has the options of a verb.`);
  const shown = verb || !command.verbs ? allOptions({ ...command, options }) : commonOptions;
  lines.push('', 'Options:', ...optionLines(shown));
  if (example !== undefined) lines.push('', 'Example:', ...example.split('\n').map((line) => `  ${line}`));
  return `${lines.join('\n')}\n`;
}

function optionLines(options: Record<string, OptionHelp>): string[] {
  const rows = Object.entries(options).map(([name, option]) => {
    const left = `${option.short ? `-${option.short}, ` : ''}--${name}${option.value ? ` ${option.value}` : ''}`;
    return [left, option.help] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`);
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}
