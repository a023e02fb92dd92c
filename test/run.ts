/**
 * The whole suite: the host's tests here, the kernel's tests in the lab on each of its kernels, beside them. Each part is one mocha process. What
 * it prints comes when it has ended; the last line sums them all. A part in which nothing passed has failed, however it ended.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Part {
  name: string;
  /** Folders of dist/test, or patterns of files in them. */
  folders: string[];
  /** Files that are left out. */
  without?: string[];
  /** The lab's kernel, for what needs AF_ALG. */
  kernel?: string;
}

const kernelTests = (...names: string[]) => names.map((name) => `kernel/${name}.test.js`);
/** Tests of lib/dm against the kernel's device-mapper: on the newer kernels, which differ in it. */
const dm = kernelTests('crypt', 'dm', 'dm-sequences', 'file-device', 'keyring');

/** Milliseconds of a test and seconds of a lab after which something hangs, on the slowest of machines. */
const hang = '600000';
const labHang = '4000';

/** One after the other: two kernels on two processors take longer than one and then the other. */
const inTheLab: Part[] = [
  { name: 'dm, kernel next', folders: kernelTests('dm', 'dm-sequences', 'file-device', 'keyring'), kernel: 'next' },
  // AF_ALG as it is there, and dm-crypt; the vectors below are the ciphers and hashes there.
  {
    name: 'kernel current',
    folders: kernelTests('tfm', 'iv-chain', 'random', 'crypt', 'keyring'),
    kernel: 'current',
  },
  { name: 'kernel aio', folders: ['kernel'], without: dm, kernel: 'aio' },
  { name: 'vectors, kernel current', folders: ['vectors'], kernel: 'current' },
];

/** Beside them. */
const here: Part[] = [
  { name: 'unit', folders: ['unit'] },
  { name: 'cli', folders: ['cli'] },
  { name: 'vectors, library', folders: ['vectors'] },
];

const root = fileURLToPath(new URL('../..', import.meta.url));
const results = mkdtempSync(join(tmpdir(), 'dmalg-test-'));

async function run(part: Part): Promise<Counts> {
  const output = mkdtempSync(join(results, 'part-'));
  const countsFile = join(output, 'counts.json');
  const mocha = [
    'node_modules/mocha/bin/mocha.js',
    '--expose-gc',
    '--timeout',
    hang,
    '--reporter',
    'dist/test/support/counting-reporter.js',
  ];
  const files = part.folders.map((folder) => `dist/test/${folder.endsWith('.js') ? folder : `${folder}/**/*.test.js`}`);
  for (const file of part.without ?? []) mocha.push('--ignore', `dist/test/${file}`);
  const lab = part.kernel
    ? ['dist/lib/cli/main.js', 'lab', '--kernel', part.kernel, '--timeout', labHang, '--output', output, '--', 'node']
    : [];
  const provider = part.kernel ? 'kernel' : 'library';
  const started = Date.now();
  const child = spawn(process.execPath, [...lab, ...mocha, ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DMALG_TEST_COUNTS: countsFile, DMALG_TEST_PROVIDER: provider },
  });
  const printed: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => printed.push(chunk));
  const [status] = await once(child, 'close');
  process.stdout.write(`\n== ${part.name}\n`);
  process.stdout.write(Buffer.concat(printed));
  const counts = read(countsFile);
  // A crash, a lab that did not start, or a fault in the kernel's log is a failure of its own.
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  if (counts.passed === 0 && counts.failed === 0) {
    process.stdout.write(`${part.name}: nothing ran\n`);
    counts.failed = 1;
  }
  const seconds = Math.round((Date.now() - started) / 1000);
  process.stdout.write(`${part.name}: ${line(counts)}, exit ${status}, ${seconds} s\n`);
  return counts;
}

function read(file: string): Counts {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Counts;
  } catch {
    return { passed: 0, failed: 0, skipped: 0 };
  }
}

const line = ({ passed, failed, skipped }: Counts) => `${passed} passed, ${failed} failed, ${skipped} skipped`;

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
async function runAll(parts: Part[]): Promise<void> {
  for (const part of parts) {
    const counts = await run(part);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
  }
}
await Promise.all([runAll(inTheLab), runAll(here)]);
rmSync(results, { recursive: true, force: true });
process.stdout.write(`\n${line(total)}\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
