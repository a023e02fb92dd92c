import { type Profile, profiles } from '../lab/offer.js';
import { CliError, type Invocation } from './command.js';
import { stringOption } from './option-values.js';

/** `--kernel`: one of the lab's. @throws CliError */
export function kernelOption(invocation: Invocation, otherwise: Profile): Profile {
  const name = stringOption(invocation, 'kernel') ?? otherwise;
  const profile = profiles.find((candidate) => candidate === name);
  if (!profile) throw new CliError(`--kernel: expected ${profiles.join(', ')}, got '${name}'`);
  return profile;
}
