import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Device } from '../dm/device.js';
import { openTable } from '../dm/open-table.js';
import type { TargetEvent } from '../dm/target.js';
import { targetTypes } from '../dm/targets/index.js';
import type { Reconnection } from '../nbd/client/client.js';
import { algOptions, runOptions } from './alg-options.js';
import { CliError, type Command, type Invocation, type OptionHelp, type Verb } from './command.js';
import { describeEvent, describeReconnection } from './device-events.js';
import { readDevice, writeDevice } from './dm-stream.js';
import { Exit } from './exit.js';
import { integerOption, stringOption } from './option-values.js';
import { writeOutput } from './output.js';
import { Progress } from './progress.js';
import { tableText } from './table-option.js';
import { runVerb, verbLines } from './verbs.js';

async function open(invocation: Invocation, readOnly: boolean): Promise<Device> {
  const table = stringOption(invocation, 'table');
  if (table === undefined) throw new CliError("--table is missing; see 'dmalg dm --help'");
  const text = tableText(table);
  const { provider, engine } = runOptions(invocation);
  const direct = invocation.values.direct === true;
  const tell = (text: string) => process.stderr.write(`dmalg: ${text}\n`);
  // Said with --quiet too: they are no progress, but what a log has to tell.
  const onEvent = (event: TargetEvent) => tell(describeEvent(event));
  const onReconnect = (event: Reconnection) => tell(describeReconnection(event));
  return openTable(text, { readOnly, direct, provider, engine, onEvent, nbd: { onReconnect } });
}

/** A number of bytes within the device. @throws CliError */
function bytesOption(invocation: Invocation, name: string, fallback: number, max: number): number {
  return integerOption(invocation, name, fallback, 0, max);
}

/** How many chunks of 1 MiB are in flight. @throws CliError */
function depthOption(invocation: Invocation): number {
  return integerOption(invocation, 'depth', 4, 1, 1024);
}

async function read(invocation: Invocation): Promise<number> {
  await using device = await open(invocation, true);
  const offset = bytesOption(invocation, 'offset', 0, device.size);
  const length = bytesOption(invocation, 'length', device.size - offset, device.size - offset);
  const depth = depthOption(invocation);
  const progress = new Progress(length, invocation.values.quiet === true);
  try {
    const output = stringOption(invocation, 'output') ?? '-';
    await writeOutput(output, progress.count(readDevice(device, { offset, length, depth })));
  } finally {
    progress.end();
  }
  return Exit.done;
}

async function write(invocation: Invocation): Promise<number> {
  await using device = await open(invocation, false);
  const offset = bytesOption(invocation, 'offset', 0, device.size);
  const depth = depthOption(invocation);
  const input = stringOption(invocation, 'input') ?? '-';
  const info = input === '-' ? undefined : await stat(input);
  if (info?.isFile() && info.size > device.size - offset) {
    const room = `${device.size - offset} of the device from there on`;
    throw new CliError(`--input: '${input}' has ${info.size} bytes, more than the ${room}`, Exit.device);
  }
  const progress = new Progress(info?.isFile() ? info.size : undefined, invocation.values.quiet === true);
  const source = input === '-' ? process.stdin : createReadStream(input, { highWaterMark: 1 << 20 });
  try {
    await writeDevice(device, { offset, depth }, progress.count(source));
  } finally {
    progress.end();
  }
  return Exit.done;
}

async function show(invocation: Invocation, what: 'table' | 'status'): Promise<number> {
  await using device = await open(invocation, true);
  if (what === 'status' && invocation.values.json) {
    process.stdout.write(json(device.report().lines));
    return Exit.done;
  }
  const text = what === 'table' ? device.table({ showKeys: invocation.values.showkeys === true }) : device.status();
  process.stdout.write(invocation.values.json ? json(text.split('\n').map(fields)) : `${text}\n`);
  return Exit.done;
}

function fields(line: string): { start: number; length: number; type: string; params: string } {
  const [, start, length, type, params] = /^(\d+) (\d+) (\S+) (.*)$/s.exec(line)!;
  return { start: Number(start), length: Number(length), type: type!, params: params! };
}

async function targets({ values }: Invocation): Promise<number> {
  const rows = targetTypes.map(({ name, version }) => ({ name, version: version.join('.') }));
  const lines = rows.map(({ name, version }) => `${name.padEnd(16)} v${version}\n`);
  process.stdout.write(values.json ? json(rows) : lines.join(''));
  return Exit.done;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

const { provider, engine } = algOptions;

const help: Record<string, OptionHelp> = {
  table: {
    type: 'string',
    value: 'LINE',
    help: 'the table, or @FILE that holds it, which keeps keys out of the process list',
  },
  offset: { type: 'string', value: 'BYTES', help: 'where on the device (default: 0)' },
  length: { type: 'string', value: 'BYTES', help: 'how much to read (default: to the end)' },
  output: {
    type: 'string',
    value: 'FILE',
    help: 'where read writes; it appears when it is complete (default: stdout)',
  },
  input: { type: 'string', value: 'FILE', help: 'what write writes (default: stdin)' },
  depth: { type: 'string', value: 'N', help: 'chunks of 1 MiB in flight, 1 to 1024 (default: 4)' },
  direct: { type: 'boolean', help: 'read, write: past the page cache (O_DIRECT); not every file system can' },
  showkeys: { type: 'boolean', help: 'table: print the keys' },
  json: { type: 'boolean', help: 'table, status, targets: print JSON' },
  provider: provider!,
  engine: engine!,
};

/** These of the options. */
const take = (...names: string[]) => Object.fromEntries(names.map((name) => [name, help[name]!]));
const exampleTable = "--table '0 16 zero'";

const verbs: Record<string, Verb> = {
  read: {
    usage: '--table LINE|@FILE [options]',
    summary: 'writes the device, or --length bytes of it, to --output or stdout',
    example: `dmalg dm read ${exampleTable} --length 512 --output zeroes`,
    options: take('table', 'offset', 'length', 'output', 'depth', 'direct', 'provider', 'engine'),
    run: read,
  },
  write: {
    usage: '--table LINE|@FILE [options]',
    summary: 'writes --input or stdin to the device, and flushes it',
    example: "truncate -s 8192 disk && echo hello | dmalg dm write --table '0 16 linear disk 0'",
    options: take('table', 'offset', 'input', 'depth', 'direct', 'provider', 'engine'),
    run: write,
  },
  table: {
    usage: '--table LINE|@FILE [options]',
    summary: 'prints the table as dmsetup table does: keys are zeroes without --showkeys',
    example: `dmalg dm table ${exampleTable}`,
    options: take('table', 'showkeys', 'json', 'provider', 'engine'),
    run: (invocation) => show(invocation, 'table'),
  },
  status: {
    usage: '--table LINE|@FILE [options]',
    summary:
      'prints what dmsetup status does; with --json everything that the targets and the devices below them hold, too',
    example: `dmalg dm status ${exampleTable} --json`,
    options: take('table', 'json', 'provider', 'engine'),
    run: (invocation) => show(invocation, 'status'),
  },
  targets: {
    summary: 'prints the targets and their versions as dmsetup targets does',
    example: 'dmalg dm targets',
    options: take('json'),
    run: targets,
  },
};

async function run(invocation: Invocation): Promise<number> {
  const [name, more] = invocation.positionals;
  if (more !== undefined) throw new CliError(`dm ${name}: expected no files, got '${more}'; see 'dmalg dm --help'`);
  return runVerb('dm', verbs, invocation);
}

export const dm: Command = {
  name: 'dm',
  usage: 'read|write|table|status|targets [--table LINE|@FILE] [options]',
  summary: 'Opens a device-mapper table without root and without device-mapper.',
  details: [
    ...verbLines(verbs),
    '',
    'A table is a line <start> <length> <target> <arguments>, in sectors of 512 bytes, or several of them, which make one device. A device',
    'in a line is a file, a block device, an NBD URI, or ram:BYTES, a RAM disk of zeroes that is gone afterwards. The same spelling is the same',
    'device: two lines with ram:4096 share one disk, and ram:4096 and ram:8192 are two. A backslash takes the next character of a name as it is.',
    '',
    'NBD: nbd://HOST[:PORT]/NAME or nbd+unix:///NAME?socket=PATH, in percent encoding; nbds: and nbds+unix: are encrypted, with parameters',
    'tls-certificates=FOLDER or tls-psk-file=FILE, tls-username, tls-hostname. When the connection breaks, requests without an answer are sent',
    'again for 30 seconds. A request has 30 seconds for its answer, too.',
    '',
    'Targets:',
    '',
    '  linear <dev> <offset>                     the sectors of another device',
    '  zero                                      reads zeroes, forgets writes',
    '  error                                     fails',
    '  delay <dev> <offset> <ms> [<dev> <offset> <ms> [<dev> <offset> <ms>]]',
    '                                            later; again for writes, again for flushes',
    '  flakey <dev> <offset> <up> <down> [<#features> <features>]',
    '                                            works for <up> seconds, then for <down> has these features: error_reads, error_writes,',
    '                                            drop_writes, corrupt_bio_byte <nth> <r|w> <value> <flags>,',
    '                                            random_read_corrupt <of 10^9>, random_write_corrupt <of 10^9>',
    '  crypt <cipher> <key> <iv_offset> <dev> <offset> [<#opts> <opts>]',
    '                                            dm-crypt: see dmalg crypt --help for ciphers; the key in hex, -, or :<bytes>:user|logon|encrypted:<name>',
    '                                            Options: allow_discards, sector_size:<bytes>, iv_large_sectors, same_cpu_crypt, high_priority,',
    '                                            submit_from_crypt_cpus, no_read_workqueue, no_write_workqueue',
    '  verity <0|1> <data_dev> <hash_dev> <data_block_size> <hash_block_size> <data_blocks> <hash_start> <hash> <root> <salt|-> [<#opts> <opts>]',
    '                                            dm-verity: what is read has been verified; what is corrupted fails, and read exits with 2. Options:',
    '                                            ignore_corruption, restart_on_corruption, panic_on_corruption, restart_on_error, panic_on_error (a',
    '                                            restart or a panic is a message here), ignore_zero_blocks, check_at_most_once, try_verify_in_tasklet,',
    '                                            use_fec_from_device <dev>, fec_blocks <n>, fec_start <n>, fec_roots <2..24>',
  ].join('\n'),
  options: help,
  verbs,
  run,
};
