/**
 * `dmalg serve` against `nbdkit file`, with nbdcopy to null and fio's random reads: node dist/test/bench/nbd.js [MiB] [rounds]. The runs
 * alternate, each is short, and a ratio is the median of the rounds' ratios. The image is in /dev/shm and written, so that no page is new when
 * it is read. Needs nbdkit, nbdcopy and fio.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, watch, writeSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { describeHost } from '../../lib/compare/measure/environment.js';
import { median } from '../../lib/compare/measure/statistics.js';
import { alignTable } from '../../lib/compare/text/table.js';
import { randomBytes } from '../support/random-bytes.js';

const program = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));
const [mebibytes = 256, rounds = 7] = process.argv.slice(2).map(Number);
const size = mebibytes * 2 ** 20;
/** MiB that the server may have resident. */
const mustMemory = 200;

const folder = mkdtempSync('/dev/shm/dmalg-bench-');
const image = join(folder, 'image');
const children: ChildProcess[] = [];

interface Server {
  name: string;
  uri: string;
  pid: number;
}

/** Starts a server on a socket `name`; it is ready when the socket is there. */
async function start(name: string, command: string, args: string[]): Promise<Server> {
  const socket = join(folder, name);
  const names = watch(folder);
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  children.push(child);
  while (!existsSync(socket)) await once(names, 'change');
  names.close();
  return { name, uri: `nbd+unix:///?socket=${socket}`, pid: child.pid! };
}

function serve(name: string, line: string): Promise<Server> {
  return start(name, process.execPath, [program, 'serve', '--table', line, '--socket', name, '--provider', 'library']);
}

/** Bytes a second. */
function copy({ uri }: Server): number {
  const begun = performance.now();
  execFileSync('nbdcopy', [uri, 'null:']);
  return (size / (performance.now() - begun)) * 1000;
}

/** Requests a second, of 4 KiB, sixteen in flight. */
function randomReads({ uri }: Server): number {
  const job = ['--name=job', '--ioengine=nbd', `--uri=${uri}`, '--rw=randread', '--bs=4k', '--iodepth=16'];
  const limits = [`--size=${size}`, '--time_based', '--runtime=1', '--output-format=json'];
  const said = execFileSync('fio', [...job, ...limits], { encoding: 'utf8' });
  const report = JSON.parse(said.slice(said.indexOf('{')));
  return report.jobs[0].read.iops;
}

function residentMiB(pid: number): string {
  const [, peak, now] = /VmHWM:\s+(\d+)[\s\S]*VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return `${(Number(peak) / 1024).toFixed(0)} MiB at most, ${(Number(now) / 1024).toFixed(0)} in the end`;
}

function row(what: string, must: number, ours: Server, peer: Server, measure: (server: Server) => number): string[] {
  measure(ours);
  measure(peer);
  const pairs = Array.from({ length: rounds }, () => [measure(ours), measure(peer)] as const);
  const shares = pairs.map(([mine, theirs]) => (mine / theirs) * 100);
  const best = (of: 0 | 1) => Math.max(...pairs.map((pair) => pair[of]));
  const unit = measure === copy ? 1e6 : 1;
  return [
    what,
    `${must} %`,
    `${median(shares).toFixed(0)} % (${Math.min(...shares).toFixed(0)} to ${Math.max(...shares).toFixed(0)})`,
    `${((best(0) / best(1)) * 100).toFixed(0)} %`,
    (median(pairs.map(([mine]) => mine)) / unit).toFixed(0),
    (median(pairs.map(([, theirs]) => theirs)) / unit).toFixed(0),
  ];
}

try {
  const { cpu, count, kernel, busy } = await describeHost();
  process.stdout.write(
    `${cpu}, ${count} processors, ${(busy * 100).toFixed(0)} % busy before; Linux ${kernel}, node ${process.version}\n` +
      `dmalg serve against nbdkit file, ${mebibytes} MiB in /dev/shm, Unix sockets, ${rounds} rounds\n`,
  );
  const file = openSync(image, 'w');
  const chunk = randomBytes('image', 2 ** 20);
  for (let index = 0; index < mebibytes; index++) writeSync(file, chunk);
  closeSync(file);
  const key = randomBytes('key', 64).toString('hex');
  const nbdkit = await start('nbdkit', 'nbdkit', ['-f', '-U', join(folder, 'nbdkit'), 'file', image]);
  const linear = await serve('linear', `0 ${size / 512} linear image 0`);
  const crypt = await serve('crypt', `0 ${size / 512} crypt aes-xts-plain64 ${key} 0 image 0 1 sector_size:4096`);
  const rows = [
    row('nbdcopy, linear, MB/s', 85, linear, nbdkit, copy),
    row('nbdcopy, crypt aes-xts, MB/s', 75, crypt, nbdkit, copy),
    row('fio 4 KiB random reads, depth 16, linear, 1/s', 95, linear, nbdkit, randomReads),
    row('fio 4 KiB random reads, depth 16, crypt, 1/s', 95, crypt, nbdkit, randomReads),
  ];
  const head = ['work', 'must', 'of nbdkit', 'best of best', 'ours', 'nbdkit'];
  process.stdout.write(`${alignTable([head, ...rows]).join('\n')}\n`);
  process.stdout.write(
    `resident (must: ${mustMemory} MiB): linear ${residentMiB(linear.pid)}; crypt ${residentMiB(crypt.pid)}\n`,
  );
} finally {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
