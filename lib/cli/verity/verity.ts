import type { Command, Invocation, OptionHelp, Verb } from '../command.js';
import { Exit } from '../exit.js';
import { runVerb, verbLines, verbOptions } from '../verbs.js';
import {
  dryRunOption,
  dumpOptions,
  fecBlocksOption,
  fecOptions,
  formatOptions,
  maxErrorsOption,
  repairOptions,
  rootOptions,
  runHelp,
  tableOptions,
  treeOptions,
} from './options.js';

const said: Record<string, OptionHelp> = {
  verbose: { type: 'boolean', short: 'v', help: 'say that it has been successful' },
};
const json: Record<string, OptionHelp> = { json: { type: 'boolean', help: 'print JSON' } };
const common = { ...runHelp, ...json, ...said };
const image = { ...treeOptions, ...fecOptions, ...fecBlocksOption, ...rootOptions };

/** Their modules are loaded when they are called, as commands are. */
const verbs: Record<string, Verb> = {
  format: {
    usage: 'DATA HASH [options]',
    example: 'head -c 1M /dev/urandom > data && dmalg verity format data hash --root-hash-file root --fec-device fec',
    summary: 'writes the hash tree of DATA into HASH, and parity with --fec-device',
    options: { ...treeOptions, ...fecOptions, ...rootOptions, ...formatOptions, ...dryRunOption, ...common },
    run: async (invocation) => (await import('./format.js')).formatImage(invocation),
  },
  verify: {
    usage: 'DATA HASH ROOT [options]',
    example:
      'head -c 1M /dev/urandom > data && dmalg verity format data hash --root-hash-file root && dmalg verity verify data hash --root-hash-file root',
    summary: 'verifies DATA and HASH against ROOT, and lists every bad block',
    options: { ...image, ...maxErrorsOption, ...common },
    run: async (invocation) => (await import('./verify.js')).verifyImage(invocation),
  },
  dump: {
    usage: 'HASH [options]',
    example:
      'head -c 1M /dev/urandom > data && dmalg verity format data hash --root-hash-file root && dmalg verity dump hash',
    summary: 'prints the superblock of HASH',
    options: { ...dumpOptions, ...fecOptions, ...common },
    run: async (invocation) => (await import('./dump.js')).dumpHeader(invocation),
  },
  repair: {
    usage: 'DATA HASH ROOT --fec-device FILE [options]',
    example:
      'head -c 1M /dev/urandom > data && dmalg verity format data hash --root-hash-file root --fec-device fec && dmalg verity repair data hash --root-hash-file root --fec-device fec --dry-run',
    summary: 'mends DATA, HASH and parity from the FEC data',
    options: { ...image, ...repairOptions, ...dryRunOption, ...maxErrorsOption, ...common },
    run: async (invocation) => (await import('./repair.js')).repairImage(invocation),
  },
  table: {
    usage: 'DATA HASH ROOT [options]',
    example:
      'head -c 1M /dev/urandom > data && dmalg verity format data hash --root-hash-file root && dmalg verity table data hash --root-hash-file root',
    summary: "prints the kernel's table line, or its boot parameter",
    options: { ...image, ...tableOptions, ...runHelp },
    run: async (invocation) => (await import('./table.js')).printTable(invocation),
  },
  size: {
    usage: 'DATA | --data-blocks N [options]',
    example: 'dmalg verity size --data-blocks 262144 --fec-device fec',
    summary: 'prints how long tree and parity will be; writes nothing',
    options: { ...treeOptions, ...fecOptions, ...runHelp, ...json },
    run: async (invocation) => (await import('./size.js')).printSize(invocation),
  },
};

async function run(invocation: Invocation): Promise<number> {
  const status = await runVerb('verity', verbs, invocation);
  if (status === Exit.done && invocation.values.verbose) process.stdout.write('Command successful.\n');
  return status;
}

export const verity: Command = {
  name: 'verity',
  usage:
    'format DATA HASH | verify DATA HASH ROOT | dump HASH | repair DATA HASH ROOT --fec-device FILE | table DATA HASH ROOT | size DATA [options]',
  summary: "Hash trees of dm-verity, as veritysetup's, without root.",
  details: [
    ...verbLines(verbs),
    '',
    'DATA and HASH are files or block devices, and may be one. A new HASH appears when it is complete; one that exists is written in',
    "place, the superblock last. Options, outputs and exit statuses are veritysetup's, but that a file which cannot be opened for writing, or a",
    'full disk, ends with 4. verify lists every bad block on stdout, from the root hash down; blocks below a bad hash block cannot be judged, and',
    'are counted. It ends with status 2 where anything is bad, the root hash included; with --fec-device, only where repair would end with 2. Its',
    'last line is the verdict.',
    '',
    'repair mends data, tree and parity from the FEC data: every block written has the digest that the tree wants, so a kill leaves an',
    'image no worse than before. Files that were cut off are mended, too. Status 0: every block of data and tree is right now; 2: some are',
    'not, and are listed.',
  ].join('\n'),
  options: verbOptions(verbs),
  verbs,
  run,
};
