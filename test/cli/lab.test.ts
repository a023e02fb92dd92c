import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { LabError } from '../../lib/lab/error.js';
import { type LabOptions, runInLab } from '../../lib/lab/lab.js';
import { childrenOf, isRunning, lab, needLab, startLab, withFolder } from './lab-run.js';

const odd = ['', ' ', "it's", '"', '$HOME `id`', 'a\nb', '\\', '*', '-n', 'ü€😀', '\x01'];

/** Runs in the guest: writes down what it finds there. */
const observer = `
const fs = require('fs'), os = require('os'), { execFileSync } = require('child_process');
const read = (path) => fs.readFileSync(path, 'utf8').trim();
const run = (...argv) => execFileSync(argv[0], argv.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
const fails = (...argv) => { try { run(...argv); return false; } catch { return true; } };
const before = /squashfs/.test(read('/proc/filesystems'));
fails('mount', '-t', 'squashfs', '/dev/null', '/mnt');
run('modprobe', 'brd', 'rd_nr=1', 'rd_size=4096');
fs.writeFileSync(process.env.DMALG_LAB_OUTPUT + '/found.json', JSON.stringify({
  argv: process.argv.slice(1), cwd: process.cwd(), odd: process.env.DMALG_ODD, profile: process.env.DMALG_LAB, node: process.version,
  cpus: os.cpus().length, now: Date.now(), open: run('sh', '-c', 'ulimit -n'), aio: read('/proc/sys/fs/aio-max-nr'),
  neighbour: read('../neighbour'), crypto: read('/proc/crypto'), loopback: os.networkInterfaces().lo?.[0].address,
  autoload: [before, /squashfs/.test(read('/proc/filesystems'))], ram: fs.statSync('/dev/ram0').isBlockDevice(),
  shm: fs.existsSync('/dev/shm'), stdin: run('sh', '-c', 'readlink /proc/self/fd/0'), random: require('crypto').randomBytes(16).length,
}));
fs.writeFileSync('elsewhere', 'gone with the lab');
process.stderr.write('to stderr\\n');
process.stdout.write('to stdout\\n');
process.exitCode = 7;
`;

/** Runs in the guest: 10 MB that depend on a seed. */
const torrent = `
const { createHash } = require('crypto');
const [seed] = process.argv.slice(1);
let block = Buffer.from(seed);
const parts = [];
for (let n = 0; n < 320; n++) { block = createHash('sha512').update(block).digest(); parts.push(Buffer.alloc(32768, block)); }
process.stdout.write(Buffer.concat(parts));
process.stderr.write(createHash('sha256').update(Buffer.concat(parts)).digest('hex') + require('fs').readFileSync('/proc/crypto'));
`;

/** A stream that remembers. */
function sink(): { stream: Writable; data(): Buffer } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { stream, data: () => Buffer.concat(chunks) };
}

async function labError(options: LabOptions): Promise<LabError> {
  const error = await runInLab(options).then(
    () => expect.fail('no error'),
    (thrown: unknown) => thrown,
  );
  expect(error).to.be.instanceOf(LabError);
  return error as LabError;
}

describe('dmalg lab', function () {
  // Kernels may have to be downloaded first.
  this.timeout(600_000);

  before(needLab);

  it('runs a command below /tmp with its arguments, variables, streams and status, and keeps only the output folder', async () => {
    await withFolder(async (folder) => {
      const cwd = join(folder, "odd ' \n folder,é");
      mkdirSync(cwd);
      writeFileSync(join(folder, 'neighbour'), 'beside');
      const output = join(folder, 'new,folder/deep');
      const env = { ...process.env, DMALG_ODD: odd.join('|') };
      const { status, stdout, stderr } = await lab(['--output', output, '--', 'node', '-e', observer, '--', ...odd], {
        cwd,
        env,
      });
      expect(stdout).to.equal('to stdout\n');
      expect(stderr.replace(/^dmalg: (fetching|unpacking) .*\n/gm, '')).to.equal('to stderr\n');
      expect(status).to.equal(7);
      const found = JSON.parse(readFileSync(join(output, 'found.json'), 'utf8'));
      expect(found).to.deep.include({
        ...{
          argv: odd,
          cwd,
          odd: odd.join('|'),
          profile: 'current',
          node: process.version,
          cpus: 2,
          neighbour: 'beside',
        },
        ...{ loopback: '127.0.0.1', autoload: [false, true], ram: true, shm: true, random: 16, aio: '65536' },
      });
      expect(Math.abs(found.now - Date.now())).to.be.below(60_000);
      expect(Number(found.open)).to.be.at.least(65536);
      expect(found.crypto)
        .to.match(/driver +: virtio_crypto_aes_cbc\n/)
        .and.to.match(/driver +: cbc-aes-aesni\n/);
      expect(existsSync(join(cwd, 'elsewhere'))).to.equal(false);
    });
  });

  it('runs two labs side by side, each with its own kernel, and loses none of 10 MB', async () => {
    const seeds = { aio: 'one', next: 'two' } as const;
    const runs = Object.entries(seeds).map(async ([kernel, seed]) => {
      const [out, err] = [sink(), sink()];
      const command = [process.execPath, '-e', torrent, seed];
      const profile = kernel as keyof typeof seeds;
      const result = await runInLab({ kernel: profile, command, stdout: out.stream, stderr: err.stream });
      expect(result).to.deep.include({ status: 0, kernelLogHits: [] });
      expect(out.data()).to.have.lengthOf(320 * 32768);
      expect(createHash('sha256').update(out.data()).digest('hex')).to.equal(`${err.data().subarray(0, 64)}`);
      expect(`${err.data()}`).to.match(/driver +: virtio_crypto_aes_cbc\n/);
      expect(result.kernelLog).to.include(`Linux version ${result.kernelRelease}`);
      return result.kernelRelease;
    });
    const releases = await Promise.all(runs);
    expect(new Set(releases).size).to.equal(2);
  });

  it('passes stdin on to its end, and ends with the command whatever that left running', async () => {
    const [out, err] = [sink(), sink()];
    const stdin = new PassThrough();
    const data = Buffer.alloc(1_000_000, 'stdin ');
    stdin.end(data);
    const command = ['sh', '-c', 'setsid sleep 10000 & sha256sum; kill -TERM $$'];
    const result = await runInLab({ command, stdin, stdout: out.stream, stderr: err.stream });
    expect(`${out.data()}`).to.equal(`${createHash('sha256').update(data).digest('hex')}  -\n`);
    expect(result.status).to.equal(128 + 15);
  });

  it('reports 127 for a command that is not there, and leaves no file in the temporary folder', async () => {
    await withFolder(async (folder) => {
      const env = { ...process.env, TMPDIR: folder };
      const { status, stderr } = await lab(['--', 'no-such-command'], { env });
      expect(status).to.equal(127);
      expect(stderr).to.include('no-such-command: not found');
      expect(readdirSync(folder)).to.deep.equal([]);
    });
  });

  it('fails when the kernel log tells of a fault, though the command succeeded, and keeps the log', async () => {
    await withFolder(async (folder) => {
      const log = join(folder, 'log');
      const { status, stderr } = await lab(['--keep-log', log, '--', 'sh', '-c', "echo 'WARNING: test' >/dev/kmsg"]);
      expect(status).to.equal(4);
      expect(stderr)
        .to.match(/^dmalg: kernel log: .*WARNING: test$/m)
        .and.to.match(/reported a fault: .* exit status was 0/);
      expect(readFileSync(log, 'utf8')).to.match(/Linux version[\s\S]*WARNING: test/);
    });
  });

  it('says what the kernel said when it stops', async () => {
    const error = await labError({ command: ['sh', '-c', 'echo c >/proc/sysrq-trigger; sleep 10000'] });
    expect(error.code).to.equal('died');
    expect(error.message)
      .to.match(/test kernel stopped .*(panic|Oops|BUG)/)
      .and.not.include('\n');
  });

  it('ends at the time limit, and says so', async () => {
    const { status, stderr } = await lab(['--timeout', '2', '--quiet', '--', 'sleep', '10000']);
    expect(status).to.equal(4);
    expect(stderr).to.equal('dmalg: the command did not end within 2 s in the lab (--timeout) and was killed\n');
  });

  /** Starts a lab whose command never ends, and waits for its first output. */
  async function endless() {
    const run = startLab(['--quiet', '--', 'yes']);
    await run.started;
    const qemu = childrenOf(run.process.pid!);
    expect(qemu).to.have.lengthOf(1);
    return { ...run, qemu: qemu[0]! };
  }

  it('leaves no process behind on SIGINT', async () => {
    const { process: child, ended, qemu } = await endless();
    child.kill('SIGINT');
    expect(await ended).to.include({ status: 130, stderr: '' });
    expect(isRunning(qemu)).to.equal(false);
  });

  it('leaves no process behind when it is killed outright', async () => {
    const { process: child, ended, qemu } = await endless();
    child.kill('SIGKILL');
    await ended;
    // The kernel sends the signal on; nothing tells when QEMU has died of it.
    while (isRunning(qemu)) await setImmediate();
  });

  it('ends when nobody reads the output any more', async () => {
    const { process: child, ended, qemu } = await endless();
    child.stdout!.destroy();
    const { status, stderr } = await ended;
    expect(status).to.equal(4);
    expect(stderr).to.match(/^dmalg: the command's output cannot be passed on: .*EPIPE\n$/);
    expect(isRunning(qemu)).to.equal(false);
  });
});
