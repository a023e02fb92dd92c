import type { Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { CryptConvert } from '../crypto/sector/convert.js';
import { CryptError } from '../crypto/sector/error.js';
import { isSameFile } from '../dm/same-file.js';
import { algOptions, keyOption, keyOptions, runOptions } from './alg-options.js';
import { CliError, type Command, type Invocation, type OptionHelp, type Verb } from './command.js';
import {
  checkWhole,
  convertAll,
  fileReader,
  fileWriter,
  streamReader,
  streamWriter,
  type Writer,
} from './crypt-stream.js';
import { statusOf } from './error-status.js';
import { Exit } from './exit.js';
import { integerOption, stringOption } from './option-values.js';
import { completeFile } from './output.js';
import { Progress } from './progress.js';
import { verbLines } from './verbs.js';

async function run(invocation: Invocation): Promise<number> {
  const { values, positionals } = invocation;
  const [direction, input, output, ...more] = positionals;
  if (direction !== 'encrypt' && direction !== 'decrypt')
    throw new CliError(`expected encrypt or decrypt, got '${direction ?? ''}'; see 'dmalg crypt --help'`);
  if (input === undefined || output === undefined || more.length)
    throw new CliError(`expected IN and OUT, got ${positionals.length - 1} files; see 'dmalg crypt --help'`);
  using convert = openConvert(invocation);
  const source = input === '-' ? undefined : await open(input);
  try {
    const size = source && (await sizeOf(source.stat(), output, convert.sectorSize));
    const progress = new Progress(size, values.quiet === true);
    const reader = source ? fileReader(source) : streamReader(process.stdin);
    const convertTo = (write: Writer) =>
      convertAll(convert, direction, reader, async (bytes) => {
        await write(bytes);
        progress.advance(bytes.length);
      });
    try {
      if (output === '-') await convertTo(streamWriter(process.stdout));
      else await completeFile(output, (file) => convertTo(fileWriter(file)));
    } finally {
      progress.end();
    }
  } finally {
    await source?.close();
  }
  return Exit.done;
}

/** Bytes of IN, where they are known before it has been read. @throws CliError: OUT is IN, or IN ends within a sector */
async function sizeOf(input: Promise<Stats>, output: string, sectorSize: number): Promise<number | undefined> {
  const from = await input;
  const to = output === '-' ? undefined : await stat(output).catch(() => undefined);
  if (to && isSameFile(from, to))
    throw new CliError(`OUT: '${output}' is IN; encryption in place is not supported, name another file`);
  if (from.isDirectory()) throw new CliError('IN: expected a file, got a folder', Exit.device);
  if (!from.isFile()) return undefined;
  checkWhole(from.size, from.size % sectorSize, sectorSize);
  return from.size;
}

function openConvert(invocation: Invocation): CryptConvert {
  const cipher = stringOption(invocation, 'cipher');
  if (cipher === undefined) throw new CliError("--cipher is missing; see 'dmalg crypt --help'");
  const key = keyOption(invocation).key ?? Buffer.alloc(0);
  const offset = stringOption(invocation, 'iv-offset') ?? '0';
  if (!/^\d{1,20}$/.test(offset))
    throw new CliError(`--iv-offset: expected a number of 512-byte sectors, got '${offset}'`);
  try {
    return new CryptConvert({
      cipher,
      key,
      ivOffset: BigInt(offset),
      sectorSize: integerOption(invocation, 'sector-size', 512),
      ivLargeSectors: invocation.values['iv-large-sectors'] === true,
      ...runOptions(invocation),
    });
  } catch (error) {
    if (!(error instanceof CryptError)) throw error;
    throw new CliError(
      `--${optionOf[error.argument] ?? error.argument}: ${error.reason}: ${error.detail}`,
      statusOf(error),
    );
  } finally {
    key.fill(0);
  }
}

/** The option that a table's argument is here. */
const optionOf: Record<string, string> = { iv_offset: 'iv-offset', sector_size: 'sector-size' };

const { provider, engine } = algOptions;

const options: Record<string, OptionHelp> = {
  cipher: { type: 'string', value: 'SPEC', help: "dm-crypt's cipher specification" },
  ...keyOptions,
  'iv-offset': { type: 'string', value: 'N', help: 'added to sector numbers, in 512-byte sectors (default: 0)' },
  'sector-size': { type: 'string', value: 'N', help: 'bytes: 512, 1024, 2048 or 4096 (default: 512)' },
  'iv-large-sectors': { type: 'boolean', help: 'IVs count sectors of --sector-size, not of 512 bytes' },
  provider: provider!,
  engine: engine!,
};

const usage = 'IN OUT --cipher SPEC (--key HEX | --key-file FILE) [options]';
const example = (verb: string) =>
  `head -c 64 /dev/urandom > key && head -c 1M /dev/zero > in && dmalg crypt ${verb} in out --cipher aes-xts-plain64 --key-file key`;
const verbs: Record<string, Verb> = {
  encrypt: { usage, summary: 'encrypts IN to OUT', example: example('encrypt'), options, run },
  decrypt: { usage, summary: 'decrypts IN to OUT', example: example('decrypt'), options, run },
};

export const crypt: Command = {
  name: 'crypt',
  usage: 'encrypt|decrypt IN OUT --cipher SPEC (--key HEX | --key-file FILE) [options]',
  summary: "Encrypts or decrypts a volume as the kernel's dm-crypt does.",
  details: [
    ...verbLines(verbs),
    '',
    'IN and OUT are files or block devices; - is stdin and stdout. OUT appears when it is complete. SPEC is what a table line has:',
    'aes-xts-plain64, aes-cbc-essiv:sha256, aes:64-cbc-lmk, capi:xts(aes)-plain64. IV modes: plain, plain64, plain64be, null, essiv,',
    'benbi, lmk, tcw, eboiv, elephant. IN is a whole number of sectors; of a pipe that is known, and refused, only at its end.',
  ].join('\n'),
  options,
  verbs,
  run,
};
