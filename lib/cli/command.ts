import { parseArgs } from 'node:util';
import { withoutKeys } from '../base/without-keys.js';
import { Exit } from './exit.js';

type ParseArgsOptions = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>;

/** An error for the person at the terminal: one line, cause and remedy, and the exit status that goes with it. It repeats nothing that may be a key. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    message: string,
    readonly status: number = Exit.usage,
  ) {
    super(withoutKeys(message));
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

/** One row of the program's command table. */
export interface Command {
  name: string;
  /** What stands after the name on the usage line. */
  usage: string;
  summary: string;
  /** Further paragraphs of `--help`. */
  details?: string;
  options: Record<string, OptionHelp>;
  run(invocation: Invocation): Promise<number>;
}

/** Options every command takes. */
export const commonOptions: Record<string, OptionHelp> = {
  help: { type: 'boolean', short: 'h', help: 'print this help' },
  quiet: { type: 'boolean', help: 'no progress on stderr' },
  debug: { type: 'boolean', help: 'print the stack trace of an error' },
};

/** A command's options and those of all commands; a letter that a command gives an option of its own is not theirs. */
export function allOptions(command: Command): Record<string, OptionHelp> {
  const letters = new Set(Object.values(command.options).map(({ short }) => short));
  const common = Object.entries(commonOptions).map(([name, { short, ...option }]) => {
    return [name, short && !letters.has(short) ? { short, ...option } : option] as const;
  });
  return { ...command.options, ...Object.fromEntries(common) };
}

export function parseInvocation(command: Command, argv: string[]): Invocation {
  const options: ParseArgsOptions = {};
  for (const [name, option] of Object.entries(allOptions(command))) {
    options[name] = { type: option.type, ...(option.short && { short: option.short }), multiple: !!option.multiple };
  }
  try {
    const { values, positionals } = parseArgs({ args: argv, options, allowPositionals: true, strict: true });
    return { values: values as Invocation['values'], positionals };
  } catch (error) {
    const message = (error as Error).message.split('. To specify')[0];
    throw new CliError(`${message}; see 'dmalg ${command.name} --help'`);
  }
}

export function helpText(command: Command): string {
  const rows = Object.entries(allOptions(command)).map(([name, option]) => {
    const left = `${option.short ? `-${option.short}, ` : ''}--${name}${option.value ? ` ${option.value}` : ''}`;
    return [left, option.help] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = [`Usage: dmalg ${command.name} ${command.usage}`.trimEnd(), '', command.summary];
  if (command.details) lines.push('', command.details.trim());
  lines.push('', 'Options:', ...rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`));
  return `${lines.join('\n')}\n`;
}
