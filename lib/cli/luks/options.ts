import { measurePbkdf, type Pbkdf, type PbkdfWish } from '../../luks/pbkdf.js';
import { CliError, type Invocation, type OptionHelp } from '../command.js';
import { integerOption, oneOf, stringOption } from '../option-values.js';

const byte = 'a number of bytes, perhaps with k, M, G or T';

/** Bytes of an option with a suffix of 1024, 1024^2, and so on. @throws CliError */
export function sizeOption(invocation: Invocation, name: string): number | undefined {
  const text = stringOption(invocation, name);
  if (text === undefined) return undefined;
  const [, digits, suffix] = /^(\d{1,16})([kMGT]?)(?:iB)?$/.exec(text) ?? [];
  const value = Number(digits) * 1024 ** ['', 'k', 'M', 'G', 'T'].indexOf(suffix ?? '');
  if (digits === undefined || !Number.isSafeInteger(value))
    throw new CliError(`--${name}: expected ${byte}, got '${text}'`);
  return value;
}

export function flag({ values }: Invocation, name: string): boolean {
  return values[name] === true;
}

export function slotOption(invocation: Invocation, name = 'key-slot'): number | undefined {
  return invocation.values[name] === undefined ? undefined : integerOption(invocation, name, 0, 0, 31);
}

export const headerHelp: Record<string, OptionHelp> = {
  header: { type: 'string', value: 'FILE', help: 'the header lies in FILE, not before the data' },
};

export const pbkdfHelp: Record<string, OptionHelp> = {
  pbkdf: { type: 'string', value: 'P', help: 'pbkdf2, argon2i or argon2id (default: argon2id; luks1: pbkdf2)' },
  hash: { type: 'string', value: 'HASH', help: 'hash of pbkdf2 and of the anti-forensic splitter (default: sha256)' },
  'iter-time': {
    type: 'string',
    short: 'i',
    value: 'MS',
    help: 'milliseconds that a passphrase takes to check here (default: 2000)',
  },
  'pbkdf-memory': {
    type: 'string',
    value: 'KIB',
    help: "Argon2's memory at most (default: 1 GiB, or half of the machine's)",
  },
  'pbkdf-parallel': { type: 'string', value: 'N', help: "Argon2's threads (default: 4, or the number of processors)" },
  'pbkdf-force-iterations': {
    type: 'string',
    value: 'N',
    help: 'iterations of pbkdf2, or passes of Argon2: nothing is measured',
  },
};

/** The costs that the options ask for, measured where they ask for a time. `hash`: the default. @throws CliError, LuksError */
export async function pbkdfOption(
  invocation: Invocation,
  version: 1 | 2,
  hash: string,
  keySize: number,
): Promise<Pbkdf> {
  const type =
    version === 1
      ? oneOf(invocation, 'pbkdf', ['pbkdf2'] as const)
      : oneOf(invocation, 'pbkdf', ['argon2id', 'argon2i', 'pbkdf2'] as const);
  const given = (name: string, least: number, most: number) =>
    invocation.values[name] === undefined ? undefined : integerOption(invocation, name, 0, least, most);
  const wish: PbkdfWish = {
    type,
    hash: stringOption(invocation, 'hash') ?? hash,
    iterTime: integerOption(invocation, 'iter-time', 2000, 1, 3_600_000),
    forceIterations: given('pbkdf-force-iterations', type === 'pbkdf2' ? 1000 : 4, 2 ** 32 - 1),
    kibibytes: given('pbkdf-memory', 32, 4 << 20),
    lanes: given('pbkdf-parallel', 1, 4),
  };
  if (type === 'pbkdf2')
    for (const name of ['pbkdf-memory', 'pbkdf-parallel'])
      if (invocation.values[name] !== undefined) throw new CliError(`--${name}: pbkdf2 has no such cost`);
  return measurePbkdf(wish, keySize);
}
