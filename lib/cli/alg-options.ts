import { readSecret } from '../base/secret.js';
import type { EngineName } from '../crypto/engine/engine.js';
import type { ProviderName } from '../crypto/provider/provider.js';
import { CliError, type Invocation, type OptionHelp } from './command.js';
import { statusOf } from './error-status.js';
import { errorWords } from './error-words.js';
import { hexOption, oneOf, stringOption } from './option-values.js';

/** Options of the commands that run one algorithm. */
export const algOptions: Record<string, OptionHelp> = {
  name: { type: 'string', value: 'ALG', help: "the algorithm by its kernel name, e.g. 'cbc(aes)'" },
  provider: { type: 'string', value: 'P', help: 'auto, kernel or library (default: auto)' },
  driver: { type: 'string', value: 'NAME', help: 'the exact name of a kernel driver, instead of --name' },
  engine: { type: 'string', value: 'E', help: 'auto, sync, lanes or aio (default: auto)' },
};

export const keyOptions: Record<string, OptionHelp> = {
  key: { type: 'string', value: 'HEX', help: 'the key; other users can see it in the process list' },
  'key-file': { type: 'string', value: 'FILE', help: 'a file that holds the key as raw bytes' },
};

/** What to open: the driver, else the name. @throws CliError without either and without a fallback */
export function algName(invocation: Invocation, command: string, fallback?: string): string {
  const name = stringOption(invocation, 'driver') ?? stringOption(invocation, 'name') ?? fallback;
  if (name === undefined) throw new CliError(`--name is missing; see 'dmalg ${command} --help'`);
  return name;
}

/** Provider and engine, as options of the API. A driver is the kernel's. @throws CliError */
export function runOptions(invocation: Invocation): {
  provider: ProviderName | 'auto';
  engine: EngineName | 'auto';
} {
  const driver = stringOption(invocation, 'driver') !== undefined;
  const provider = oneOf(invocation, 'provider', ['auto', 'kernel', 'library'] as const);
  if (driver && provider === 'library')
    throw new CliError('--driver: the library has no drivers; leave --provider out');
  return {
    provider: driver ? 'kernel' : provider,
    engine: oneOf(invocation, 'engine', ['auto', 'sync', 'lanes', 'aio'] as const),
  };
}

/** The key from --key or --key-file, which the caller wipes. @throws CliError */
export function keyOption(invocation: Invocation): { key?: Buffer } {
  const file = stringOption(invocation, 'key-file');
  if (file !== undefined && stringOption(invocation, 'key') !== undefined)
    throw new CliError('--key and --key-file: expected one of them, got both');
  const bytes = file === undefined ? hexOption(invocation, 'key') : keyFile(file);
  return bytes ? { key: bytes } : {};
}

/** The error may have a key in it: one that was given for the name of a file. */
function keyFile(path: string): Buffer {
  try {
    return readSecret(path);
  } catch (error) {
    throw new CliError(`--key-file: ${errorWords(error)}`, statusOf(error));
  }
}
