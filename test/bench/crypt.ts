/**
 * `dmalg crypt encrypt` from start to exit, tmpfs to tmpfs, against `openssl speed` of the same cipher on one core:
 * node dist/test/bench/crypt.js [MiB] [rounds]. The runs alternate; the ratio is the median of the rounds' ratios. cp of the
 * same file says what writing new pages leaves possible, and a run to /dev/null what it takes. Needs /dev/shm with room for both files, openssl, and GNU time, which says how much memory was resident.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { describeHost } from '../../lib/compare/measure/environment.js';
import { median } from '../../lib/compare/measure/statistics.js';
import { alignTable } from '../../lib/compare/text/table.js';

const program = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
const [mebibytes = 1024, rounds = 5] = process.argv.slice(2).map(Number);
const size = mebibytes * 2 ** 20;
const large = 4 * 2 ** 30;
/** What the issue asks for: per cent of openssl's rate, by sector size. And of resident memory, in MiB. */
const must: Record<number, number> = { 4096: 30, 512: 20 };
const mustMemory = 150;

interface Run {
  /** Seconds. */
  wall: number;
  cpu: number;
  /** MiB. */
  resident: number;
}

const folder = mkdtempSync('/dev/shm/dmalg-bench-');
const [input, output] = [join(folder, 'in'), join(folder, 'out')];

const nowhere = openSync('/dev/null', 'w');

function timed(program: string, args: string[]): Run {
  rmSync(output, { force: true });
  const start = performance.now();
  const { status, stderr, error } = spawnSync('/usr/bin/time', ['-f', '%U %S %M', program, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', nowhere, 'pipe'],
  });
  const wall = (performance.now() - start) / 1000;
  if (error) throw new Error('bench: /usr/bin/time is missing; apt-get install time', { cause: error });
  if (status !== 0) throw new Error(`bench: ${program} ${args[0]}: ${stderr}`);
  const [user, system, resident] = stderr.trim().split(' ').map(Number);
  return { wall, cpu: user! + system!, resident: resident! / 1024 };
}

const key = Buffer.from(Array.from({ length: 64 }, (_, i) => i * 3 + 1)).toString('hex');

function encrypt(sectorSize: number, to = output): Run {
  const options = ['--cipher', 'aes-xts-plain64', '--key', key, '--provider', 'library'];
  return timed(process.execPath, [
    program,
    'crypt',
    'encrypt',
    input,
    to,
    ...options,
    '--sector-size',
    `${sectorSize}`,
  ]);
}

/** Bytes a second, of processor time, or of the clock's: that one other work slows, as it slows ours. */
function openssl(bytes: number, ...more: string[]): number {
  const args = ['speed', '-mr', '-seconds', '1', ...more, '-evp', 'aes-256-xts', '-bytes', `${bytes}`];
  const text = execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return Number(/^\+F:.*:([\d.]+)$/m.exec(text)![1]);
}

function room(bytes: number): boolean {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize > bytes;
}

function makeInput(): void {
  if (!room(2 * size)) throw new Error(`bench: /dev/shm has no room for two files of ${mebibytes} MiB`);
  const chunk = Buffer.alloc(2 ** 20);
  const file = openSync(input, 'w');
  for (let i = 0; i < mebibytes; i++) writeSync(file, randomFillSync(chunk));
  closeSync(file);
}

const mega = (rate: number) => (rate / 1e6).toFixed(0);
const seconds = (runs: Run[], of: 'wall' | 'cpu') => median(runs.map((run) => run[of])).toFixed(2);

function row(sectorSize: number): string[] {
  encrypt(sectorSize); // the first run finds no code and no memory in any cache
  const ours: Run[] = [];
  const unwritten: Run[] = [];
  const copies: Run[] = [];
  const peers: { cpu: number; wall: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(encrypt(sectorSize));
    peers.push({ cpu: openssl(sectorSize), wall: openssl(sectorSize, '-elapsed') });
    unwritten.push(encrypt(sectorSize, '-'));
    copies.push(timed('cp', [input, output]));
  }
  const share = (runs: Run[], of: 'cpu' | 'wall') =>
    runs.map((run, round) => ((size / run.wall) * 100) / peers[round]![of]);
  const range = (shares: number[]) =>
    `${median(shares).toFixed(0)} % (${Math.min(...shares).toFixed(0)} to ${Math.max(...shares).toFixed(0)})`;
  return [
    `${sectorSize}`,
    `${must[sectorSize]} %`,
    range(share(ours, 'cpu')),
    `${median(share(ours, 'wall')).toFixed(0)} %`,
    range(share(unwritten, 'cpu')),
    range(share(copies, 'cpu')),
    seconds(ours, 'wall'),
    seconds(ours, 'cpu'),
    mega(size / median(ours.map((run) => run.wall))),
    mega(median(peers.map((peer) => peer.cpu))),
    mega(median(peers.map((peer) => peer.wall))),
    seconds(copies, 'wall'),
    seconds(copies, 'cpu'),
    Math.max(...ours.map((run) => run.resident)).toFixed(0),
  ];
}

const head = [
  'sector size',
  'must',
  'of openssl',
  'of -elapsed',
  'to /dev/null',
  'cp',
  's',
  'CPU s',
  'MB/s',
  'openssl MB/s',
  '-elapsed MB/s',
];
try {
  const { cpu, count, kernel, busy } = await describeHost();
  const versions = `node ${process.version}, ${execFileSync('openssl', ['version'], { encoding: 'utf8' }).trim()}`;
  process.stdout.write(
    `${cpu}, ${count} processors, ${(busy * 100).toFixed(0)} % busy before; Linux ${kernel}, ${versions}\n` +
      `dmalg crypt encrypt, aes-xts-plain64, library provider, ${mebibytes} MiB, tmpfs to tmpfs, ${rounds} rounds, medians\n`,
  );
  makeInput();
  const rows = [4096, 512].map(row);
  const table = alignTable([[...head, 'cp s', 'cp CPU s', 'resident MiB'], ...rows]);
  process.stdout.write(`${table.join('\n')}\n`);
  // A file of holes: only what is written takes memory.
  truncateSync(input, 0);
  truncateSync(input, large);
  if (room(large + 2 ** 28)) {
    const { wall, resident } = encrypt(4096);
    process.stdout.write(
      `4 GiB, sector size 4096: ${wall.toFixed(2)} s, ${resident.toFixed(0)} MiB resident (must: ${mustMemory})\n`,
    );
  } else process.stdout.write('4 GiB: not run, as /dev/shm has no room for it\n');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
