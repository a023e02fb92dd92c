import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { hostLacksAfAlg } from '../../lib/lab/host-kernel.js';
import { findTool } from '../../lib/lab/tools.js';
import { isRunning, lab, needLab, withFolder } from './lab-run.js';

/** Puts programs of these names in front of the host's. */
function withPrograms(folder: string, programs: Record<string, string>): NodeJS.ProcessEnv {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return { ...process.env, PATH: `${bin}:${process.env.PATH}`, DMALG_CACHE: join(folder, 'cache') };
}

/** An apt-cache that offers the first candidate of aio, for a small download. */
const offersAio = 'printf "Package: linux-image-6.1.0-50-amd64\\nVersion: 1\\nSize: 1\\nInstalled-Size: 1\\n"';

describe('dmalg lab: what can be missing', function () {
  this.timeout(600_000);

  before(needLab);

  it('says what to type when QEMU is missing', async () => {
    const { status, stderr } = await lab(['--', 'true'], { env: { ...process.env, PATH: '/nowhere' } });
    expect(status).to.equal(4);
    expect(stderr).to.match(/^dmalg: the lab needs qemu-system-x86_64, .* apt-get install qemu-system-x86\n$/);
  });

  it('boots once more when the kernel stops before the command has started, and says so', async () => {
    await withFolder(async (folder) => {
      const qemu = findTool('qemu-system-x86_64');
      const script = `[ -e '${folder}/first' ] && exec ${qemu} "$@"; touch '${folder}/first'; echo 'no luck' >&2; exit 1`;
      const { PATH } = withPrograms(folder, { 'qemu-system-x86_64': script });
      const { status, stderr } = await lab(['--', 'sh', '-c', 'exit 9'], { env: { ...process.env, PATH } });
      expect(status).to.equal(9);
      expect(stderr).to.match(/^dmalg: the test kernel stopped before .*: no luck; booting once more$/m);
    });
  });

  it('says why QEMU cannot run', async () => {
    await withFolder(async (folder) => {
      const { PATH } = withPrograms(folder, { 'qemu-system-x86_64': 'echo "qemu: no memory" >&2; exit 1' });
      const { status, stderr } = await lab(['--quiet', '--', 'true'], { env: { ...process.env, PATH } });
      expect(status).to.equal(4);
      expect(stderr).to.equal('dmalg: the test kernel stopped before the command ended: qemu: no memory\n');
    });
  });

  it('says which kernel is not offered', async () => {
    await withFolder(async (folder) => {
      const env = withPrograms(folder, { 'apt-cache': 'exit 100', 'apt-get': 'exit 0' });
      const { status, stderr } = await lab(['--kernel', 'next', '--quiet', '--', 'true'], { env });
      expect(status).to.equal(6);
      expect(stderr).to.match(
        /^dmalg: test kernel 'next' is not to be had: linux-image-6.12-amd64 not offered .*apt-get update.*\n$/,
      );
      expect(existsSync(join(folder, 'cache/kernels'))).to.equal(false);
    });
  });

  it('lists what is offered, with status 6 when something is not', async () => {
    await withFolder(async (folder) => {
      const env = withPrograms(folder, { 'apt-cache': offersAio });
      const { status, stdout } = await lab(['--list'], { env });
      expect(stdout)
        .to.match(/^aio {6}linux-image-6.1.0-50-amd64 1$/m)
        .and.to.match(/^next {5}test kernel .* not offered/m);
      expect(status).to.equal(6);
    });
  });

  describe('with a disk of 1 MiB', () => {
    /** Mounts a small disk as the cache. */
    async function onSmallDisk(context: Mocha.Context, test: (folder: string) => Promise<void>): Promise<void> {
      await withFolder(async (folder) => {
        const disk = join(folder, 'cache');
        mkdirSync(disk);
        if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', disk]).status !== 0) context.skip();
        try {
          await test(folder);
        } finally {
          spawnSync('umount', [disk]);
        }
      });
    }

    it('says so before it downloads (needs root)', async function () {
      await onSmallDisk(this, async (folder) => {
        const offer = offersAio.replace('Size: 1', 'Size: 70000000');
        const env = withPrograms(folder, { 'apt-cache': offer, 'apt-get': 'echo called >&2; exit 1' });
        const { status, stderr } = await lab(['--kernel', 'aio', '--', 'true'], { env });
        expect(status).to.equal(4);
        expect(stderr).to.match(
          /^dmalg: \/.*cache\/kernels: disk full: 1 MiB free, .* needs 66 MiB; .*DMALG_CACHE.*\n$/,
        );
        expect(readdirSync(join(folder, 'cache/kernels'))).to.deep.equal([]);
      });
    });

    it('says so when it fills up, and removes what it wrote (needs root)', async function () {
      await onSmallDisk(this, async (folder) => {
        const env = withPrograms(folder, {
          'apt-cache': offersAio,
          'apt-get': 'head -c 4000000 /dev/zero >linux-image-6.1.0-50-amd64_1_amd64.deb',
        });
        const { status, stderr } = await lab(['--kernel', 'aio', '--quiet', '--', 'true'], { env });
        expect(status).to.equal(4);
        expect(stderr).to.match(/^dmalg: \/.*cache\/kernels: disk full while building the lab; .*DMALG_CACHE.*\n$/);
        expect(readdirSync(join(folder, 'cache/kernels'))).to.deep.equal([]);
      });
    });
  });

  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    it(`leaves neither process nor file on ${signal} while downloading`, async () => {
      await withFolder(async (folder) => {
        const started = join(folder, 'pid');
        const script = `echo >half.deb; echo $$ >'${started}'; kill -s ${signal.slice(3)} $PPID; sleep 1000`;
        const env = withPrograms(folder, { 'apt-cache': offersAio, 'apt-get': script });
        const { status } = await lab(['--kernel', 'aio', '--', 'true'], { env });
        expect(status).to.equal(expected);
        expect(isRunning(Number(readFileSync(started, 'utf8')))).to.equal(false);
        expect(readdirSync(join(folder, 'cache/kernels'))).to.deep.equal([]);
      });
    });

  for (const [args, message] of [
    [['--kernel', 'old', '--', 'true'], "--kernel: expected aio, current, next, got 'old'"],
    [['--timeout', '0', '--', 'true'], '--timeout: expected a whole number'],
    [['--memory', '1', '--', 'true'], '--memory: expected a whole number'],
    [[], "no command to run; see 'dmalg lab --help'"],
  ] as const)
    it(`refuses: lab ${args.join(' ')}`, async () => {
      const { status, stderr } = await lab([...args]);
      expect(status).to.equal(1);
      expect(stderr).to.include(`dmalg: ${message}`);
    });

  it('runs the command on the host with --no-lab, or says why not', async () => {
    const { status, stdout, stderr } = await lab(['--no-lab', '--', 'sh', '-c', 'echo here; exit 3']);
    const lacks = await hostLacksAfAlg();
    if (lacks === undefined) {
      expect(stderr).to.match(/^dmalg: --no-lab: running on this host's kernel/);
      expect([status, stdout]).to.deep.equal([3, 'here\n']);
    } else {
      expect(stderr).to.equal(`dmalg: ${lacks}\n`);
      expect([status, stdout]).to.deep.equal([6, '']);
    }
  });
});
