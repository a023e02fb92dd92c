/**
 * The suite: the host's tests here and, beside them, the kernel's tests in the lab on each of its kernels, a sample of them, or with `--whole`
 * all. Each part is one mocha process. What it prints comes when it has ended; the last line sums them all. A part in which nothing passed has failed, however it ended.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCorpus } from './vectors/corpus.js';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Part {
  name: string;
  /** Folders of dist/test, or files in them. */
  tests: string[];
  without?: string[];
  /** The lab's kernel, for what needs AF_ALG. */
  kernel?: string;
  /** Of each group of tests one in so many runs, from this one on. All, if it is not given or the whole suite is asked for. */
  sample?: { every: number; first: number };
}

const kernelTests = (...names: string[]) => names.map((name) => `kernel/${name}.test.js`);

/** They boot labs. */
const labTests = ['compare', 'lab', 'lab-cryptsetup', 'lab-errors'].map((name) => `cli/${name}.test.js`);
/** The same, but what they run for minutes is also run by others: for `--whole`. */
const labRecipes = ['cli/lab-recipes.test.js'];

/** Seconds after which a lab hangs, on the slowest of machines. */
const labHang = '4000';
const whole = process.argv.includes('--whole');

/**
 * One after the other: two kernels on two processors take longer than one and then the other. Emulated, a test takes seconds, so that of the
 * long lists of cases a sample runs, on each kernel another one.
 */
const inTheLab: Part[] = [
  {
    name: 'device-mapper, kernel next',
    tests: kernelTests('crypt', 'dm', 'dm-sequences', 'file-device', 'keyring', 'nbd', 'verity'),
    kernel: 'next',
    sample: { every: 12, first: 0 },
  },
  {
    name: 'device-mapper, AF_ALG and vectors, kernel current',
    tests: [
      ...kernelTests('crypt', 'dm', 'dm-sequences', 'file-device', 'iv-chain', 'keyring', 'random', 'tfm', 'verity'),
      'vectors',
    ],
    kernel: 'current',
    sample: { every: 12, first: 1 },
  },
  {
    name: 'AF_ALG, kernel aio',
    tests: kernelTests(
      'cipher',
      'compare',
      'compare-units',
      'compare-workqueue',
      'hash',
      'iv-chain',
      'lifecycle',
      'process',
      'random',
      'tfm',
    ),
    kernel: 'aio',
    sample: { every: 12, first: 2 },
  },
  { name: 'the lab itself', tests: whole ? [...labTests, ...labRecipes] : labTests, sample: { every: 4, first: 0 } },
];

/** Beside them. */
const here: Part[] = [
  { name: 'unit', tests: ['unit'] },
  { name: 'cli', tests: ['cli'], without: [...labTests, ...labRecipes] },
  { name: 'vectors, library', tests: ['vectors'] },
];

const root = fileURLToPath(new URL('../..', import.meta.url));
const results = mkdtempSync(join(tmpdir(), 'dmalg-test-'));

function filesOf({ tests, without = [] }: Part): string[] {
  const files = tests.flatMap((name) => {
    if (name.endsWith('.js')) return [name];
    const inside = readdirSync(join(root, 'dist/test', name), { encoding: 'utf8', recursive: true });
    return inside.filter((file) => file.endsWith('.test.js')).map((file) => `${name}/${file}`);
  });
  return files.filter((file) => !without.includes(file)).map((file) => `dist/test/${file}`);
}

async function run(part: Part): Promise<Counts> {
  const output = mkdtempSync(join(results, 'part-'));
  const countsFile = join(output, 'counts.json');
  const { every, first } = (!whole && part.sample) || { every: 1, first: 0 };
  const command = ['--expose-gc', 'dist/test/run-part.js', countsFile, `${every}`, `${first}`, ...filesOf(part)];
  const lab = ['dist/lib/cli/main.js', 'lab', '--timeout', labHang, '--output', output];
  const args = part.kernel ? [...lab, '--kernel', part.kernel, '--', 'node', ...command] : command;
  const provider = part.kernel ? 'kernel' : 'library';
  const started = Date.now();
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DMALG_TEST_PROVIDER: provider },
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
// The lab has no network: what its tests read is there before it starts. Where it cannot be had they say so.
await findCorpus();
await Promise.all([runAll(inTheLab), runAll(here)]);
rmSync(results, { recursive: true, force: true });
process.stdout.write(`\n${line(total)}\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
