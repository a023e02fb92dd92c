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
    if (positionals.length || values.json) throw new CliError('--check: expected no files and no --json beside it');
    return check(job, list);
  }
  const results: { file: string; digest: string }[] = [];
  for (const file of positionals.length ? positionals : ['-']) {
    const result = { file, digest: await digest(job, file) };
    results.push(result);
    if (!values.json) process.stdout.write(listLine(result.file, result.digest));
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ name: job.name, files: results }, null, 2)}\n`);
  return Exit.done;
}

/** A line as sha256sum writes it: a name with a line break or backslash is escaped, and the line says so. */
export function listLine(file: string, digest: string): string {
  if (!/[\\\n\r]/.test(file)) return `${digest}  ${file}\n`;
  const escaped = file.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return `\\${digest}  ${escaped}\n`;
}

/** Reads such a line; undefined when it is none. */
export function parseListLine(line: string): { file: string; digest: string } | undefined {
  const [, escaped, digest, name] = /^(\\?)((?:[0-9a-f]{2})+) [ *](.+)$/i.exec(line) ?? [];
  if (digest === undefined || name === undefined) return undefined;
  const breaks: Record<string, string> = { n: '\n', r: '\r', '\\': '\\' };
  const file = escaped ? name.replace(/\\([nr\\])/g, (_, letter: string) => breaks[letter]!) : name;
  return { file, digest: digest.toLowerCase() };
}

async function check(job: Job, list: string): Promise<number> {
  const text = list === '-' ? await readAll(process.stdin) : await readFile(list, 'utf8');
  const lines = text.split('\n').filter((line) => line !== '');
  const entries = lines.map(parseListLine).filter((entry) => entry !== undefined);
  if (entries.length === 0) throw new CliError(`${list}: no line of digest and file name in it`, Exit.device);
  let wrong = 0;
  let unreadable = 0;
  for (const { file, digest: expected } of entries) {
    try {
      const good = isSame(await digest(job, file), expected);
      if (!good) wrong++;
      process.stdout.write(`${file}: ${good ? 'OK' : 'FAILED'}\n`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall !== 'open' && (error as NodeJS.ErrnoException).syscall !== 'stat')
        throw error;
      unreadable++;
      process.stderr.write(`dmalg: ${errorWords(error)}\n`);
      process.stdout.write(`${file}: FAILED open or read\n`);
    }
  }
  const bad = lines.length - entries.length;
  if (bad) process.stderr.write(`dmalg: WARNING: ${bad} of ${lines.length} lines are improperly formatted\n`);
  if (unreadable) process.stderr.write(`dmalg: WARNING: ${unreadable} listed files could not be read\n`);
  if (wrong) process.stderr.write(`dmalg: WARNING: ${wrong} computed digests did NOT match\n`);
  return wrong ? Exit.verification : unreadable ? Exit.device : Exit.done;
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
  details:
    'Without FILE, or where it is -, it reads stdin. --check reads such a list and verifies it: exit status 2 when a digest differs.',
  options: {
    ...algOptions,
    ...keyOptions,
    check: { type: 'string', short: 'c', value: 'FILE', help: 'verify the digests that FILE lists (- is stdin)' },
    json: { type: 'boolean', help: 'print JSON' },
  },
  run,
};
