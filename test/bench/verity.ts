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
import { openTable, verifyVerity } from '../../lib/index.js';
import { pair } from './pair.js';

const program = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
const dmalg = [process.execPath, program, 'verity'];
const peer = ['veritysetup'];
const rounds = 25;
const fecRounds = 5;
const mebibytes = Number(process.argv[2] ?? 1024);
const smallMebibytes = mebibytes / 4;
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

/** Runs both in turn and prints a row. Returns the least seconds of each: what other work on the machine takes only adds. */
function pairOfCommands(what: string, args: (hash: string) => string[], times = rounds): [number, number] {
  const costs: [Cost, Cost][] = [];
  for (let round = 0; round < times; round++) costs.push([run(dmalg, args('ours')), run(peer, args('theirs'))]);
  const ratio = (of: (cost: Cost) => number) => costs.map(([ours, theirs]) => of(theirs) / of(ours));
  const clock = ratio(({ seconds }) => seconds);
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
  return [least(0), least(1)];
}

/** The same on a part of the data and on all: what the rest costs is without what it takes to start. */
function pairs(what: string, args: (hash: string, data: string) => string[], times = rounds): void {
  const [part, all] = [smallMebibytes, mebibytes].map((size) =>
    pairOfCommands(`${what}, ${size} MiB`, (hash) => args(`${hash}-${size}`, `data-${size}`), times),
  );
  const rates = ([0, 1] as const).map((side) => (mebibytes - smallMebibytes) / (all![side] - part![side]));
  process.stdout.write(
    `${what}, without what starting takes: ${rates[0]!.toFixed(0)} MiB/s against ${rates[1]!.toFixed(0)}: ${(rates[0]! / rates[1]!).toFixed(2)} times\n`,
  );
}

/** A read of a device, and how many are in flight. */
const [readSize, depth] = [1 << 20, 4];

/** Sequential reads of the `verity` target beside verifyVerity, both of this process, in turn. */
async function readsOfTarget(data: string, hash: string, root: string, salt: string): Promise<void> {
  const paths = [join(folder, data), join(folder, hash)] as const;
  const blocks = (mebibytes * 2 ** 20) / 4096;
  const line = `0 ${blocks * 8} verity 1 ${paths.join(' ')} 4096 4096 ${blocks} 1 sha256 ${root} ${salt}`;
  const device = await openTable(line, { provider: 'library', readOnly: true });
  const reads = async () => {
    let next = 0;
    const reader = async () => {
      const into = Buffer.allocUnsafe(readSize);
      while (next < device.size) {
        const offset = next;
        next += readSize;
        await device.read(offset, into);
      }
    };
    await Promise.all(Array.from({ length: depth }, reader));
  };
  const verify = async () => {
    if (!(await verifyVerity(...paths, Buffer.from(root, 'hex'), { provider: 'library' })).good) throw new Error('bad');
  };
  const microseconds = async (run: () => Promise<void>) => {
    const start = performance.now();
    await run();
    return (performance.now() - start) * 1000;
  };
  await pair(
    'sequential reads of the target, 1 MiB, 4 in flight, against verifyVerity',
    () => microseconds(reads),
    () => microseconds(verify),
  );
  await device.close();
}

try {
  const piece = Buffer.from(Uint8Array.from({ length: 1 << 20 }, (_, at) => (at * 2654435761) >>> 13));
  for (const size of [smallMebibytes, mebibytes]) {
    const file = join(folder, `data-${size}`);
    writeFileSync(file, '');
    for (let at = 0; at < size; at++) {
      piece.writeUInt32LE(at, 0);
      writeFileSync(file, piece, { flag: 'a' });
    }
  }
  const salt = ['--salt', 'ab'.repeat(32)];
  const rootOf = (hash: string) => readFileSync(join(folder, `root-${hash}`), 'latin1');
  pairs('format', (hash, data) => ['format', data, hash, ...salt, '--root-hash-file', `root-${hash}`]);
  if (rootOf(`ours-${mebibytes}`) !== rootOf(`theirs-${mebibytes}`)) throw new Error('the root hashes differ');
  pairs('verify', (hash, data) => ['verify', data, hash, rootOf(hash)]);
  const [data, hash] = [`data-${mebibytes}`, `ours-${mebibytes}`];
  await readsOfTarget(data, hash, rootOf(hash), salt[1]!);
  const fec = (hash: string) => ['--fec-device', `fec-${hash}`, '--fec-roots', '2'];
  pairs('format with FEC of 2 roots', (hash, data) => ['format', data, hash, ...salt, ...fec(hash)], fecRounds);
  if (mebibytes >= 1024) {
    rmSync(join(folder, `data-${mebibytes}`));
    writeFileSync(join(folder, 'sparse'), '');
    truncateSync(join(folder, 'sparse'), sparseBytes);
    pairOfCommands('format, 16 GiB sparse', (hash) => ['format', 'sparse', hash, ...salt], 1);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
