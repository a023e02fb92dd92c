import { CliError, commonOptions, type Invocation, type OptionHelp } from './command.js';

/** What a command does when its first word is this one, with the options that it takes then. */
export interface Verb {
  summary: string;
  options: Record<string, OptionHelp>;
  run(invocation: Invocation): Promise<number>;
}

/** Runs the verb that the first word names. @throws CliError where there is none, or for an option that another verb takes */
export async function runVerb(command: string, verbs: Record<string, Verb>, invocation: Invocation): Promise<number> {
  const [name = ''] = invocation.positionals;
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (!verb)
    throw new CliError(`expected ${Object.keys(verbs).join(', ')}, got '${name}'; see 'dmalg ${command} --help'`);
  const foreign = Object.keys(invocation.values).find(
    (option) => !Object.hasOwn(verb.options, option) && !Object.hasOwn(commonOptions, option),
  );
  if (foreign) throw new CliError(`--${foreign}: not an option of ${command} ${name}; see 'dmalg ${command} --help'`);
  return verb.run(invocation);
}

/** A line for each verb, for the help text. */
export function verbLines(verbs: Record<string, Verb>): string[] {
  const width = Math.max(...Object.keys(verbs).map((name) => name.length));
  return Object.entries(verbs).map(([name, { summary }]) => `${name.padEnd(width)}  ${summary}`);
}

/** The options of all verbs. */
export function verbOptions(verbs: Record<string, Verb>): Record<string, OptionHelp> {
  return Object.assign({}, ...Object.values(verbs).map(({ options }) => options));
}
