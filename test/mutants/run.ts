/**
 * Mutation test: makes small wrong changes, one at a time, in a copy of this checkout, and runs the tests that ought to notice.
 * `node dist/test/mutants/run.js [--nodedir=DIR] [LIST...]`; without LIST all of test/mutants/*.json. Status 0 when 95 % are
 * noticed and each survivor has its reason in the list.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Mutant {
  /** Source file, from the root of the checkout. */
  file: string;
  /** Occurs exactly once in the file. */
  find: string;
  replace: string;
  /** Test files that ought to notice, e.g. `test/unit/queue.test.ts`. */
  tests: string[];
  note: string;
  /** Why no test here can notice it: the lab's test that does, or what makes the change harmless. */
  survives?: string;
}

type Outcome = 'noticed' | 'survived' | 'does not compile' | 'not found';

/** A mutant that makes a test wait for ever is noticed by this, in milliseconds. */
const hang = 240_000;
const required = 0.95;

const root = fileURLToPath(new URL('../../..', import.meta.url));
const lists = join(root, 'test/mutants');
const args = process.argv.slice(2);
const gypOptions = args.filter((arg) => arg.startsWith('--nodedir'));
const named = args.filter((arg) => !arg.startsWith('--'));
const names = named.length > 0 ? named : readdirSync(lists).filter((name) => name.endsWith('.json'));
const mutants = names.map((name) => ({
  name: basename(name, '.json'),
  mutants: JSON.parse(readFileSync(join(lists, basename(name)), 'utf8')) as Mutant[],
}));

const copy = mkdtempSync(join(tmpdir(), 'dmalg-mutants-'));
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));

function run(command: string, ...rest: string[]): SpawnSyncReturns<string> {
  const environment = { ...process.env, DMALG_TEST_PROVIDER: 'library' };
  return spawnSync(command, rest, {
    cwd: copy,
    encoding: 'utf8',
    timeout: hang,
    killSignal: 'SIGKILL',
    env: environment,
  });
}

const compileTypes = () => run('npx', 'tsc', '-p', '.', '--incremental', '--tsBuildInfoFile', '.tsbuildinfo');
const compileNative = () => run('npx', 'node-gyp', 'build', '--loglevel=error');
const compiled = (file: string) => join('dist', file.replace(/\.ts$/, '.js'));
const mocha = (tests: string[]) =>
  run(
    process.execPath,
    '--expose-gc',
    'node_modules/mocha/bin/mocha.js',
    '--bail',
    '--timeout',
    '120000',
    ...tests.map(compiled),
  );

function demand(result: SpawnSyncReturns<string>, what: string): void {
  if (result.status !== 0) throw new Error(`${what} fails without any mutant:\n${result.stdout}${result.stderr}`);
}

function prepare(): void {
  const files = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of files.stdout.split('\n').filter((name) => name !== '')) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file));
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  demand(compileTypes(), 'tsc');
  demand(run('npx', 'node-gyp', 'rebuild', ...gypOptions, '--loglevel=error'), 'node-gyp');
  const tests = new Set(mutants.flatMap((list) => list.mutants.flatMap((mutant) => mutant.tests)));
  // One process a file, as the mutants' tests run.
  for (const test of tests) demand(mocha([test]), test);
}

function attempt({ file, find, replace, tests }: Mutant): Outcome {
  const path = join(copy, file);
  const source = readFileSync(path, 'utf8');
  if (source.split(find).length !== 2) return 'not found';
  const compile = file.startsWith('native/') ? compileNative : compileTypes;
  writeFileSync(
    path,
    source.replace(find, () => replace),
  );
  try {
    if (compile().status !== 0) return 'does not compile';
    return mocha(tests).status === 0 ? 'survived' : 'noticed';
  } finally {
    writeFileSync(path, source);
    demand(compile(), `the compiler, with ${file} restored,`);
  }
}

prepare();
let noticed = 0;
let total = 0;
let unexplained = 0;
for (const list of mutants) {
  let inList = 0;
  for (const mutant of list.mutants) {
    const outcome = attempt(mutant);
    if (outcome === 'noticed') inList++;
    else if (outcome !== 'survived' || mutant.survives === undefined) unexplained++;
    const reason = outcome === 'survived' && mutant.survives !== undefined ? ` (${mutant.survives})` : '';
    if (outcome !== 'noticed') process.stdout.write(`${outcome}: ${mutant.file}: ${mutant.note}${reason}\n`);
  }
  process.stdout.write(`${list.name}: ${inList} of ${list.mutants.length} noticed\n`);
  noticed += inList;
  total += list.mutants.length;
}
const share = total === 0 ? 0 : noticed / total;
process.stdout.write(
  `${noticed} of ${total} mutants noticed (${(share * 100).toFixed(1)} %), ${unexplained} without a reason\n`,
);
process.exitCode = share >= required && unexplained === 0 ? 0 : 1;
