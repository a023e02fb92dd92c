import { closeSync, openSync, readSync } from 'node:fs';
import { isatty } from 'node:tty';
import { allocateSecret } from '../base/secret.js';
import { CliError, type Invocation, type OptionHelp } from './command.js';
import { Exit } from './exit.js';
import { integerOption, stringOption } from './option-values.js';
import { signalStatus } from './stop-signals.js';

/** Names of the options that say where a passphrase is. */
export interface PassphraseOptions {
  file: string;
  offset: string;
  size: string;
}

export const passphraseOptions: PassphraseOptions = {
  file: 'key-file',
  offset: 'keyfile-offset',
  size: 'keyfile-size',
};
export const newPassphraseOptions: PassphraseOptions = {
  file: 'new-key-file',
  offset: 'new-keyfile-offset',
  size: 'new-keyfile-size',
};

export const passphraseHelp: Record<string, OptionHelp> = {
  'key-file': {
    type: 'string',
    value: 'FILE',
    help: 'read the passphrase from FILE, all of it, a newline at its end too; - is stdin (default: ask)',
  },
  'keyfile-offset': { type: 'string', value: 'BYTES', help: 'skip BYTES of --key-file' },
  'keyfile-size': { type: 'string', value: 'BYTES', help: 'read BYTES of --key-file' },
};
export const newPassphraseHelp: Record<string, OptionHelp> = {
  'new-key-file': { type: 'string', value: 'FILE', help: 'read the new passphrase from FILE, as --key-file does' },
  'new-keyfile-offset': { type: 'string', value: 'BYTES', help: 'skip BYTES of --new-key-file' },
  'new-keyfile-size': { type: 'string', value: 'BYTES', help: 'read BYTES of --new-key-file' },
};

/** As cryptsetup's: DEFAULT_KEYFILE_SIZE_MAXKB and DEFAULT_PASSPHRASE_SIZE_MAX. Bytes. */
const longestFile = 8 << 20;
const longestTyped = 512;

/**
 * A passphrase, for the caller to wipe: from the file that the options name, else from the terminal, without echo and, if it is a new one,
 * twice; where stdin is no terminal its first line. @throws CliError
 */
export function readPassphrase(
  invocation: Invocation,
  prompt: string,
  { options = passphraseOptions, isNew = false }: { options?: PassphraseOptions; isNew?: boolean } = {},
): Buffer {
  const file = stringOption(invocation, options.file);
  if (file !== undefined) {
    const offset = integerOption(invocation, options.offset, 0, 0, Number.MAX_SAFE_INTEGER);
    const size = integerOption(invocation, options.size, 0, 1, longestFile);
    return readFileRange(options.file, file, offset, size || undefined);
  }
  for (const name of [options.offset, options.size])
    if (invocation.values[name] !== undefined) throw new CliError(`--${name} needs --${options.file}`);
  if (!isatty(0)) return readLine(0);
  const typed = ask(`Enter ${prompt}: `);
  if (!isNew) return typed;
  const again = ask(`Verify ${prompt}: `);
  const isSame = typed.equals(again);
  again.fill(0);
  if (isSame) return typed;
  typed.fill(0);
  throw new CliError('Passphrases do not match.', Exit.verification);
}

function readFileRange(option: string, path: string, offset: number, size: number | undefined): Buffer {
  let fd: number;
  try {
    fd = path === '-' ? 0 : openSync(path, 'r');
  } catch (error) {
    throw new CliError(`--${option}: ${(error as Error).message}`, Exit.device);
  }
  const bytes = allocateSecret(size ?? longestFile + 1);
  try {
    skip(fd, offset, path);
    const length = readFully(fd, bytes);
    if (size !== undefined && length < size)
      throw new CliError(`--${option}: '${path}' has ${length} bytes from ${offset} on, not ${size}`, Exit.usage);
    if (length > longestFile)
      throw new CliError(`--${option}: '${path}' is longer than ${longestFile >> 20} MiB; use its first part by size`);
    const exact = allocateSecret(length);
    bytes.copy(exact, 0, 0, length);
    return exact;
  } finally {
    bytes.fill(0);
    if (fd !== 0) closeSync(fd);
  }
}

/** By reading, as a pipe cannot be sought in. */
function skip(fd: number, count: number, path: string): void {
  const bytes = allocateSecret(Math.min(count, 1 << 16));
  for (let left = count; left > 0; ) {
    const read = readSync(fd, bytes, 0, Math.min(left, bytes.length), null);
    if (read === 0) throw new CliError(`'${path}' ends ${left} bytes before the offset of its passphrase`);
    left -= read;
  }
  bytes.fill(0);
}

function readFully(fd: number, bytes: Buffer): number {
  let length = 0;
  while (length < bytes.length) {
    const read = readAgain(fd, bytes, length, bytes.length - length);
    if (read === 0) break;
    length += read;
  }
  return length;
}

/** A pipe or a terminal that Node.js has made non-blocking has nothing yet. */
function readAgain(fd: number, bytes: Buffer, at: number, length: number): number {
  for (;;)
    try {
      return readSync(fd, bytes, at, length, null);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
}

/** Up to a newline, which is no part of it. */
function readLine(fd: number): Buffer {
  const bytes = allocateSecret(longestTyped);
  try {
    let length = 0;
    for (;;) {
      if (length === bytes.length)
        throw new CliError(`the passphrase is longer than ${longestTyped} bytes; use --key-file`);
      if (readAgain(fd, bytes, length, 1) === 0 || bytes[length] === 0x0a) break;
      length++;
    }
    const line = allocateSecret(length);
    bytes.copy(line, 0, 0, length);
    return line;
  } finally {
    bytes.fill(0);
  }
}

const key = { interrupt: 3, end: 4, backspace: 8, newline: 10, enter: 13, clear: 21, delete: 127 };

/** A line from the terminal, without echo. Ctrl-C ends the program as SIGINT would. */
function ask(prompt: string): Buffer {
  const bytes = allocateSecret(longestTyped);
  let length = 0;
  process.stderr.write(prompt);
  process.stdin.setRawMode(true);
  try {
    for (;;) {
      const typed = allocateSecret(1);
      if (readAgain(0, typed, 0, 1) === 0) break;
      const [byte] = typed;
      if (byte === key.interrupt) throw new CliError('stopped by SIGINT', signalStatus('SIGINT'));
      if (byte === key.enter || byte === key.newline || byte === key.end) break;
      if (byte === key.backspace || byte === key.delete) length = Math.max(0, length - 1);
      else if (byte === key.clear) length = 0;
      else if (length === bytes.length)
        throw new CliError(`the passphrase is longer than ${longestTyped} bytes; use --key-file`);
      else bytes[length++] = byte!;
    }
    const line = allocateSecret(length);
    bytes.copy(line, 0, 0, length);
    return line;
  } finally {
    bytes.fill(0);
    process.stdin.setRawMode(false);
    process.stderr.write('\n');
  }
}
