/**
 * dmalg verity beside veritysetup, as ratios in one run, the page cache warm: `node dist/test/bench/verity.js [MiB]` on this host.
 * Each pair alternates; a ratio is the median of the pairs' ratios. CPU time stands beside the clock's, which other work on the
 * machine stretches.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { median } from '../../lib/compare/measure/statistics.js';

const program = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
const dmalg = [process.execPath, program, 'verity'];
const peer = ['veritysetup'];
const rounds = 9;
const mebibytes = Number(process.argv[2] ?? 1024);
const sparseBytes = 16 * 2 ** 30;

interface Cost {
  seconds: number;
  /** User and system, of the process. */
  cpu: number;
  /** MiB resident at most. */
  resident: number;
}

const folder = mkdtempSync('/dev/shm/dmalg-bench-');

/** Runs a command under GNU time, which says what the kernel counted of it. */
function run(command: string[], args: string[]): Cost {
  const [file, ...first] = command;
  const start = performance.now();
  const { status, stderr, output } = spawnSync('/usr/bin/time', ['-f', '%U %S %M', file!, ...first, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${output}`);
  const [user, system, kilobytes] = stderr.trim().split('\n').at(-1)!.split(' ').map(Number);
  return { seconds, cpu: user! + system!, resident: kilobytes! / 1024 };
}

/** Runs both in turn and prints a row. */
function pair(what: string, args: (hash: string) => string[], times = rounds): void {
  const costs: [Cost, Cost][] = [];
  for (let round = 0; round < times; round++) costs.push([run(dmalg, args('ours')), run(peer, args('theirs'))]);
  const ratio = (of: (cost: Cost) => number) => costs.map(([ours, theirs]) => of(theirs) / of(ours));
  const clock = ratio(({ seconds }) => seconds);
  // What other work on the machine takes only adds: the least of each is nearest to what the program needs.
  const least = (side: 0 | 1) => Math.min(...costs.map((each) => each[side].seconds));
  const middle = (side: 0 | 1, of: (cost: Cost) => number) => median(costs.map((each) => of(each[side]))).toFixed(2);
  const [ours, theirs] = ([0, 1] as const).map(
    (side) => `${middle(side, ({ seconds }) => seconds)} s (CPU ${middle(side, ({ cpu }) => cpu)} s)`,
  );
  process.stdout.write(
    `${what}: ${median(clock).toFixed(2)} times veritysetup's rate (${Math.min(...clock).toFixed(2)} to ${Math.max(...clock).toFixed(2)}); ` +
      `${ours} against ${theirs}; CPU time ${median(ratio(({ cpu }) => cpu)).toFixed(2)} times less; ` +
      `the best of each ${least(0).toFixed(2)} s against ${least(1).toFixed(2)} s: ${(least(1) / least(0)).toFixed(2)} times; ` +
      `resident ${Math.max(...costs.map(([{ resident }]) => resident)).toFixed(0)} MiB\n`,
  );
}

try {
  const piece = Buffer.from(Uint8Array.from({ length: 1 << 20 }, (_, at) => (at * 2654435761) >>> 13));
  writeFileSync(join(folder, 'data'), '');
  for (let at = 0; at < mebibytes; at++) {
    piece.writeUInt32LE(at, 0);
    writeFileSync(join(folder, 'data'), piece, { flag: 'a' });
  }
  const salt = ['--salt', 'ab'.repeat(32)];
  pair(`format, ${mebibytes} MiB`, (hash) => ['format', 'data', hash, ...salt, '--root-hash-file', `root-${hash}`]);
  const root = readFileSync(join(folder, 'root-ours'), 'latin1');
  if (root !== readFileSync(join(folder, 'root-theirs'), 'latin1')) throw new Error('the root hashes differ');
  pair(`verify, ${mebibytes} MiB`, (hash) => ['verify', 'data', hash, root]);
  const fec = (hash: string) => ['--fec-device', `fec-${hash}`, '--fec-roots', '2'];
  pair(`format, ${mebibytes} MiB, FEC of 2 roots`, (hash) => ['format', 'data', hash, ...salt, ...fec(hash)], 3);
  if (mebibytes >= 1024) {
    rmSync(join(folder, 'data'));
    writeFileSync(join(folder, 'sparse'), '');
    truncateSync(join(folder, 'sparse'), sparseBytes);
    pair('format, 16 GiB sparse', (hash) => ['format', 'sparse', hash, ...salt], 1);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
