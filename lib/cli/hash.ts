import { timingSafeEqual } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createHash, type HashOptions } from '../crypto/stream/hash.js';
import { algName, algOptions, keyOption, keyOptions, runOptions } from './alg-options.js';
import { CliError, type Command, type Invocation } from './command.js';
import { errorWords } from './error-words.js';
import { Exit } from './exit.js';
import { stringOption } from './option-values.js';
import { Progress } from './progress.js';

/** What is read at a time: hashing is so fast that smaller reads would be most of the work. */
const readSize = 1024 * 1024;

interface Job {
  name: string;
  options: HashOptions;
  quiet: boolean;
}

async function digest(job: Job, file: string): Promise<string> {
  const size = file === '-' ? undefined : (await stat(file)).size;
  const progress = new Progress(size, job.quiet);
  const source = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: readSize });
  const hash = createHash(job.name, job.options);
  try {
    await pipeline(progress.count(source), hash);
  } finally {
    progress.end();
  }
  return (hash.read() as Buffer).toString('hex');
}

async function run(invocation: Invocation): Promise<number> {
  const { values } = invocation;
  const name = algName(invocation, 'hash');
  const run = runOptions(invocation);
  const secret = keyOption(invocation);
  try {
    return await hashFiles(invocation, { name, options: { ...run, ...secret }, quiet: values.quiet === true });
  } finally {
    secret.key?.fill(0);
  }
}

async function hashFiles(invocation: Invocation, job: Job): Promise<number> {
  const { values, positionals } = invocation;
  const list = stringOption(invocation, 'check');
  if (list !== undefined) {
    if (positionals.length || values.json || values.tag)
      throw new CliError('--check: expected no files, no --json and no --tag beside it');
    return check(job, list, values.status === true);
  }
  if (values.status) throw new CliError('--status: expected --check beside it');
  const results: { file: string; digest: string }[] = [];
  for (const file of positionals.length ? positionals : ['-']) {
    const result = { file, digest: await digest(job, file) };
    results.push(result);
    if (values.json) continue;
    process.stdout.write(
      values.tag ? tagLine(job.name, result.file, result.digest) : listLine(result.file, result.digest),
    );
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ name: job.name, files: results }, null, 2)}\n`);
  return Exit.done;
}

const isOdd = (file: string) => /[\\\n\r]/.test(file);
const escapeName = (file: string) => file.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');

function unescapeName(name: string): string {
  const breaks: Record<string, string> = { n: '\n', r: '\r', '\\': '\\' };
  return name.replace(/\\([nr\\])/g, (_, letter: string) => breaks[letter]!);
}

/** A line as sha256sum writes it: a name with a line break or backslash is escaped, and the line says so. */
export function listLine(file: string, digest: string): string {
  return isOdd(file) ? `\\${digest}  ${escapeName(file)}\n` : `${digest}  ${file}\n`;
}

/** A line as `sha256sum --tag` and BSD's tools write it. */
export function tagLine(name: string, file: string, digest: string): string {
  const line = `${name.toUpperCase()} (${escapeName(file)}) = ${digest}\n`;
  return isOdd(file) ? `\\${line}` : line;
}

/** Reads a line of either kind; undefined when it is none, or of another hash. */
export function parseListLine(line: string, hash?: string): { file: string; digest: string } | undefined {
  const [, tagEscaped, tag, tagName, tagDigest] = /^(\\?)([\w()-]+) \((.*)\) = ((?:[0-9a-f]{2})+)$/i.exec(line) ?? [];
  if (tagDigest !== undefined && tagName !== undefined) {
    if (hash !== undefined && plainName(tag!) !== plainName(hash)) return undefined;
    return { file: tagEscaped ? unescapeName(tagName) : tagName, digest: tagDigest.toLowerCase() };
  }
  const [, escaped, digest, name] = /^(\\?)((?:[0-9a-f]{2})+) [ *](.+)$/i.exec(line) ?? [];
  if (digest === undefined || name === undefined) return undefined;
  return { file: escaped ? unescapeName(name) : name, digest: digest.toLowerCase() };
}

/** 'SHA512/256' and 'sha512-256' are one. */
const plainName = (name: string) => name.toLowerCase().replace(/[-_/]/g, '');

/** Statuses and words are sha256sum's. */
async function check(job: Job, list: string, isSilent: boolean): Promise<number> {
  const text = list === '-' ? await readAll(process.stdin) : await readFile(list, 'utf8');
  const lines = text.split('\n').filter((line) => line !== '');
  const entries = lines.map((line) => parseListLine(line, job.name)).filter((entry) => entry !== undefined);
  if (entries.length === 0) throw new CliError(`${list}: no line of digest and file name in it`);
  let wrong = 0;
  let unreadable = 0;
  const print = (file: string, verdict: string) => {
    // sha256sum leaves a backslash alone here.
    const shown = /[\n\r]/.test(file) ? `\\${escapeName(file)}` : file;
    if (!isSilent) process.stdout.write(`${shown}: ${verdict}\n`);
  };
  const warn = (warning: string) => {
    if (!isSilent) process.stderr.write(`dmalg: WARNING: ${warning}\n`);
  };
  for (const { file, digest: expected } of entries) {
    try {
      const good = isSame(await digest(job, file), expected);
      if (!good) wrong++;
      print(file, good ? 'OK' : 'FAILED');
    } catch (error) {
      const { syscall } = error as NodeJS.ErrnoException;
      if (syscall !== 'open' && syscall !== 'stat' && syscall !== 'read') throw error;
      unreadable++;
      process.stderr.write(`dmalg: ${errorWords(error)}\n`);
      print(file, 'FAILED open or read');
    }
  }
  const bad = lines.length - entries.length;
  if (bad) warn(`${bad} of ${lines.length} lines are improperly formatted`);
  if (unreadable) warn(`${unreadable} listed files could not be read`);
  if (wrong) warn(`${wrong} computed digests did NOT match`);
  return wrong || unreadable ? Exit.usage : Exit.done;
}

/** In constant time, as a digest may be a MAC. */
function isSame(digest: string, expected: string): boolean {
  return digest.length === expected.length && timingSafeEqual(Buffer.from(digest), Buffer.from(expected));
}

async function readAll(source: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

export const hash: Command = {
  name: 'hash',
  usage: "--name 'ALG' [options] [FILE...]",
  summary: 'Prints the digests of files, as sha256sum does, with any hash of the kernel.',
  example: 'echo hello > file && dmalg hash --name sha256 file > list && dmalg hash --name sha256 --check list',
  details:
    'Without FILE, or where it is -, it reads stdin. --check reads such a list, or one of --tag, and verifies it: exit status 1 when a digest\ndiffers or a file cannot be read, as sha256sum has it.',
  options: {
    ...algOptions,
    name: { type: 'string', value: 'ALG', help: "the hash by its kernel name, e.g. sha256 or 'hmac(sha256)'" },
    ...keyOptions,
    check: { type: 'string', short: 'c', value: 'FILE', help: 'verify the digests that FILE lists (- is stdin)' },
    status: { type: 'boolean', help: 'with --check: print nothing, the status says it' },
    tag: { type: 'boolean', help: "print lines as BSD's tools do: 'SHA256 (FILE) = DIGEST'" },
    json: { type: 'boolean', help: 'print JSON' },
  },
  run,
};
