import { algOptions } from '../alg-options.js';
import type { Command, OptionHelp, Verb } from '../command.js';
import { newPassphraseHelp, passphraseHelp } from '../passphrase.js';
import { runVerb, verbLines, verbOptions } from '../verbs.js';
import { read, table, write } from './data.js';
import { format } from './format.js';
import { convert, dump, headerBackup, headerRestore, repair, uuid } from './header.js';
import { addKey, changeKey, convertKey, erase, killSlot, removeKey, testKey } from './keys.js';
import { headerHelp, pbkdfHelp } from './options.js';

const slotHelp = (help: string): Record<string, OptionHelp> => ({
  'key-slot': { type: 'string', short: 'S', value: 'N', help },
});
const volumeKeyHelp: Record<string, OptionHelp> = {
  'volume-key-file': { type: 'string', value: 'FILE', help: 'the volume key as raw bytes, instead of a passphrase' },
};
const batchHelp: Record<string, OptionHelp> = {
  'batch-mode': {
    type: 'boolean',
    short: 'q',
    help: 'do it without asking: overwrite, remove the last key slot, erase',
  },
};
const jsonHelp: Record<string, OptionHelp> = { json: { type: 'boolean', help: 'print JSON' } };
const backupHelp: Record<string, OptionHelp> = {
  'header-backup-file': { type: 'string', value: 'FILE', help: 'the backup of the header' },
};
const typeHelp: Record<string, OptionHelp> = {
  type: { type: 'string', value: 'T', help: 'luks1 or luks2 (format: default luks2)' },
};
const openHelp = { ...headerHelp, ...passphraseHelp, ...slotHelp('try this key slot alone') };
const streamHelp: Record<string, OptionHelp> = {
  ...openHelp,
  ...volumeKeyHelp,
  offset: {
    type: 'string',
    short: 'o',
    value: 'N',
    help: 'read, write: bytes from the start; format: where data begins, in 512-byte sectors',
  },
  depth: { type: 'string', value: 'N', help: 'chunks of 1 MiB in flight (default: 4)' },
  provider: algOptions['provider']!,
  engine: algOptions['engine']!,
};

const make = 'printf secret > pw && dmalg luks format disk --size 20M --key-file pw --iter-time 50';
const example = (then: string) => `${make} && dmalg luks ${then}`;

const verbs: Record<string, Verb> = {
  format: {
    usage: 'IMAGE [--size BYTES] [options]',
    example: make,
    summary: 'makes a volume: with --size in a new file, otherwise in IMAGE as it is',
    options: {
      size: {
        type: 'string',
        value: 'BYTES',
        help: 'create IMAGE of BYTES, header and key slots in it; k, M, G, T are powers of 1024',
      },
      ...typeHelp,
      cipher: { type: 'string', short: 'c', value: 'SPEC', help: 'cipher of the data (default: aes-xts-plain64)' },
      'key-size': {
        type: 'string',
        short: 's',
        value: 'BITS',
        help: 'volume key (default: 512 for xts, otherwise 256)',
      },
      'sector-size': {
        type: 'string',
        value: 'N',
        help: 'bytes: 512 to 4096 (default: 4096 where the data is whole sectors of that)',
      },
      offset: streamHelp['offset']!,
      label: { type: 'string', value: 'TEXT', help: 'label of a LUKS2 volume' },
      subsystem: { type: 'string', value: 'TEXT', help: 'subsystem of a LUKS2 volume' },
      uuid: { type: 'string', value: 'UUID', help: 'UUID (default: a random one)' },
      'luks2-metadata-size': {
        type: 'string',
        value: 'BYTES',
        help: 'one copy of the LUKS2 header: 16k to 4M (default: 16k)',
      },
      'luks2-keyslots-size': {
        type: 'string',
        value: 'BYTES',
        help: 'area of the LUKS2 key slots (default: up to 16 MiB from the start)',
      },
      integrity: { type: 'string', value: 'ALG', help: 'is refused: there are no integrity tags yet' },
      ...openHelp,
      ...volumeKeyHelp,
      ...pbkdfHelp,
      ...batchHelp,
    },
    run: format,
  },
  dump: {
    usage: 'IMAGE [options]',
    example: example('dump disk'),
    summary: 'prints the header as cryptsetup luksDump does',
    options: {
      ...headerHelp,
      ...jsonHelp,
      'dump-json-metadata': { type: 'boolean', help: "print LUKS2's JSON area" },
    },
    run: dump,
  },
  read: {
    usage: 'IMAGE [options]',
    example: example('read disk --key-file pw --output plain'),
    summary: 'decrypts the volume, to --output or stdout',
    options: {
      ...streamHelp,
      length: { type: 'string', value: 'BYTES', help: 'bytes to read (default: to the end)' },
      output: { type: 'string', value: 'FILE', help: 'write to FILE, which appears when it is complete' },
    },
    run: read,
  },
  write: {
    usage: 'IMAGE [options]',
    example: `${make} && head -c 1M /dev/urandom > plain && dmalg luks write disk --key-file pw --input plain`,
    summary: 'encrypts --input or stdin into the volume',
    options: { ...streamHelp, input: { type: 'string', value: 'FILE', help: 'read from FILE' } },
    run: write,
  },
  'add-key': {
    usage: 'IMAGE [options]',
    example: `${make} && printf new > pw2 && dmalg luks add-key disk --key-file pw --new-key-file pw2 --iter-time 50`,
    summary: 'adds a passphrase',
    options: {
      ...openHelp,
      ...volumeKeyHelp,
      ...newPassphraseHelp,
      'new-key-slot': { type: 'string', value: 'N', help: 'number of the new key slot (default: the first free one)' },
      ...pbkdfHelp,
    },
    run: addKey,
  },
  'change-key': {
    usage: 'IMAGE [options]',
    example: `${make} && printf new > pw2 && dmalg luks change-key disk --key-file pw --new-key-file pw2 --iter-time 50`,
    summary: 'replaces the passphrase of a key slot',
    options: { ...openHelp, ...newPassphraseHelp, ...pbkdfHelp },
    run: changeKey,
  },
  'remove-key': {
    usage: 'IMAGE [options]',
    example: example('remove-key disk --key-file pw --batch-mode'),
    summary: 'removes the key slot that a passphrase opens',
    options: { ...openHelp, ...batchHelp },
    run: removeKey,
  },
  'kill-slot': {
    usage: 'IMAGE --key-slot N [options]',
    example: example('kill-slot disk --key-slot 0 --batch-mode'),
    summary: 'removes the key slot --key-slot; no passphrase is asked for',
    options: { ...headerHelp, ...slotHelp('the key slot'), ...batchHelp },
    run: killSlot,
  },
  'convert-key': {
    usage: 'IMAGE [options]',
    example: example('convert-key disk --key-file pw --pbkdf pbkdf2 --iter-time 50'),
    summary: 'keeps a passphrase and changes how it is derived (--pbkdf)',
    options: { ...openHelp, ...pbkdfHelp },
    run: convertKey,
  },
  test: {
    usage: 'IMAGE [options]',
    example: example('test disk --key-file pw'),
    summary: 'prints which key slot a passphrase opens; status 2: none',
    options: { ...openHelp, ...volumeKeyHelp, ...jsonHelp },
    run: testKey,
  },
  uuid: {
    usage: 'IMAGE [options]',
    example: example('uuid disk'),
    summary: 'prints the UUID',
    options: headerHelp,
    run: uuid,
  },
  table: {
    usage: 'IMAGE [options]',
    example: example('table disk'),
    summary: 'prints the crypt line that the kernel would get',
    options: {
      ...openHelp,
      ...volumeKeyHelp,
      showkeys: { type: 'boolean', help: 'print the volume key; needs a passphrase' },
    },
    run: table,
  },
  'header-backup': {
    usage: 'IMAGE --header-backup-file FILE [options]',
    example: example('header-backup disk --header-backup-file backup'),
    summary: 'copies header and key slots into --header-backup-file',
    options: { ...headerHelp, ...backupHelp },
    run: headerBackup,
  },
  'header-restore': {
    usage: 'IMAGE --header-backup-file FILE [options]',
    example: example(
      'header-backup disk --header-backup-file backup && dmalg luks header-restore disk --header-backup-file backup',
    ),
    summary: 'writes header and key slots back from --header-backup-file',
    options: { ...headerHelp, ...backupHelp, ...batchHelp },
    run: headerRestore,
  },
  repair: {
    usage: 'IMAGE [options]',
    example: example('repair disk'),
    summary: 'writes both copies of a damaged LUKS2 header anew',
    options: headerHelp,
    run: repair,
  },
  erase: {
    usage: 'IMAGE [options]',
    example: example('erase disk --batch-mode'),
    summary: 'wipes all key slots',
    options: { ...headerHelp, ...batchHelp },
    run: erase,
  },
  convert: {
    usage: 'IMAGE --type luks1|luks2 [options]',
    example: `${make} --type luks1 && dmalg luks convert disk --type luks2 --batch-mode`,
    summary: 'converts the header to --type luks1 or luks2',
    options: { ...headerHelp, ...typeHelp, ...batchHelp },
    run: convert,
  },
};

export const luks: Command = {
  name: 'luks',
  usage: `${Object.keys(verbs).join('|')} IMAGE [options]`,
  summary: 'Makes, reads, writes and manages LUKS1 and LUKS2 volumes without root.',
  details: [
    ...verbLines(verbs),
    '',
    "IMAGE is a file or a block device. Options are cryptsetup's. A passphrase comes from --key-file, else from the terminal,",
    'else it is the first line of stdin. Formatted volumes have the defaults of cryptsetup 2.6.',
    'Not here: BitLocker, FileVault and TrueCrypt volumes; use cryptsetup open --type bitlk, fvault2 or tcrypt.',
  ].join('\n'),
  options: verbOptions(verbs),
  verbs,
  run: (invocation) => runVerb('luks', verbs, invocation),
};
