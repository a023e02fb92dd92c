import { secretOfHex } from '../base/secret.js';
import { CliError, type Invocation } from './command.js';

export function stringOption(invocation: Invocation, name: string): string | undefined {
  return invocation.values[name] as string | undefined;
}

/** Reads a whole-number option. @throws CliError naming the option when it is not one, or out of range. */
export function integerOption(invocation: Invocation, name: string, fallback: number, min = 0, max = 2 ** 31): number {
  const text = invocation.values[name];
  if (text === undefined) return fallback;
  const value = Number(text);
  if (typeof text !== 'string' || !/^\d+$/.test(text) || value < min || value > max)
    throw new CliError(`--${name}: expected a whole number from ${min} to ${max}, got '${text}'`);
  return value;
}

/** The option's value, one of the words; the first where it is not given. @throws CliError */
export function oneOf<T extends string>(invocation: Invocation, name: string, words: readonly [T, ...T[]]): T {
  const given = stringOption(invocation, name) ?? words[0];
  const found = words.find((word) => word === given);
  if (found === undefined) throw new CliError(`--${name}: expected ${words.join(', ')}, got '${given}'`);
  return found;
}

/** Bytes of an option given in hex. @throws CliError, which does not repeat the value: it may be a key */
export function hexOption(invocation: Invocation, name: string): Buffer | undefined {
  const text = stringOption(invocation, name);
  if (text === undefined) return undefined;
  if (!/^([0-9a-f]{2})*$/i.test(text))
    throw new CliError(`--${name}: expected an even number of hex digits, got ${text.length} characters`);
  return secretOfHex(text);
}
