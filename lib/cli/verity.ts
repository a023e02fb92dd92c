import type { VerityCode } from '../dm/verity/error.js';
import { CliError, type Command, Exit, type Invocation } from './command.js';
import { formatImage } from './verity-format.js';
import { treeOptions } from './verity-options.js';

/** Exit statuses, which are veritysetup's: it takes what it cannot read or write for wrong parameters. */
export const verityStatus: Record<VerityCode, number> = {
  EINVAL: Exit.usage,
  EIO: Exit.usage,
  ENODEV: Exit.device,
  EPERM: Exit.verification,
};

const actions: Record<string, (invocation: Invocation) => Promise<number>> = {
  format: formatImage,
};

async function run(invocation: Invocation): Promise<number> {
  const [name = ''] = invocation.positionals;
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (!action)
    throw new CliError(`expected ${Object.keys(actions).join(', ')}, got '${name}'; see 'dmalg verity --help'`);
  return action(invocation);
}

export const verity: Command = {
  name: 'verity',
  usage: 'format DATA HASH [options]',
  summary: "Hash trees of dm-verity, as veritysetup's, without root.",
  details: [
    'DATA and HASH are files or block devices, and may be one. A new HASH appears when it is complete; one that exists is written in',
    "place, the superblock last. Options, outputs and exit statuses are veritysetup's.",
  ].join('\n'),
  options: { ...treeOptions, json: { type: 'boolean', help: 'print JSON' } },
  run,
};
