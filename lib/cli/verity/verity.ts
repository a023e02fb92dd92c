import { CliError, type Command, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { fecOptions, repairOptions, treeOptions } from './options.js';

type Action = (invocation: Invocation) => Promise<number>;

/** Loaded when they are called, as commands are. */
const actions: Record<string, () => Promise<Action>> = {
  format: async () => (await import('./format.js')).formatImage,
  verify: async () => (await import('./verify.js')).verifyImage,
  dump: async () => (await import('./dump.js')).dumpHeader,
  repair: async () => (await import('./repair.js')).repairImage,
};

async function run(invocation: Invocation): Promise<number> {
  const [name = ''] = invocation.positionals;
  const load = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (!load)
    throw new CliError(`expected ${Object.keys(actions).join(', ')}, got '${name}'; see 'dmalg verity --help'`);
  const action = await load();
  const status = await action(invocation);
  if (status === Exit.done && invocation.values.verbose) process.stdout.write('Command successful.\n');
  return status;
}

export const verity: Command = {
  name: 'verity',
  usage: 'format DATA HASH | verify DATA HASH ROOT | dump HASH | repair DATA HASH ROOT --fec-device FILE [options]',
  summary: "Hash trees of dm-verity, as veritysetup's, without root.",
  details: [
    'DATA and HASH are files or block devices, and may be one. A new HASH appears when it is complete; one that exists is written in',
    "place, the superblock last. Options, outputs and exit statuses are veritysetup's, but that a file which cannot be opened for writing, or a",
    'full disk, ends with 4. verify lists every bad block on stdout, from the',
    'root hash down; blocks below a bad hash block cannot be judged, and are counted. It ends with status 2 where anything is bad, the',
    'root hash included; with --fec-device, only where repair would end with 2. Its last line is the verdict.',
    '',
    'repair mends data, tree and parity from the FEC data: every block written has the digest that the tree wants, so a kill leaves an',
    'image no worse than before. Files that were cut off are mended, too. Status 0: every block of data and tree is right now; 2: some are',
    'not, and are listed.',
  ].join('\n'),
  options: {
    ...treeOptions,
    ...fecOptions,
    ...repairOptions,
    'max-errors': { type: 'string', value: 'N', help: 'bad blocks that verify lists; it counts all (default: 1000)' },
    json: { type: 'boolean', help: 'print JSON' },
    verbose: { type: 'boolean', short: 'v', help: 'say that it has been successful' },
  },
  run,
};
