import { CliError, type Invocation, type OptionHelp, type Verb } from './command.js';

/** Runs the verb that the first word names. @throws CliError where there is none */
export async function runVerb(command: string, verbs: Record<string, Verb>, invocation: Invocation): Promise<number> {
  const [name = ''] = invocation.positionals;
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (!verb)
    throw new CliError(`expected ${Object.keys(verbs).join(', ')}, got '${name}'; see 'dmalg ${command} --help'`);
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
