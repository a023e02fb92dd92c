import { spawnSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cpio } from '../../lib/lab/cpio.js';
import { payload } from '../../lib/lab/kernel-image.js';
import { machineArguments } from '../../lib/lab/machine.js';
import { loadOrder, parseModulesDep } from '../../lib/lab/modules.js';

describe('lab: initramfs', () => {
  it('writes an archive that cpio unpacks to the same files', function () {
    const folder = mkdtempSync(join(tmpdir(), 'dmalg-test-'));
    try {
      const archive = join(folder, 'archive');
      writeFileSync(
        archive,
        cpio([
          { path: 'd', mode: 0o40755 },
          { path: 'd/empty', mode: 0o100600, data: Buffer.alloc(0) },
          { path: 'd/five', mode: 0o100755, data: Buffer.from('12345') },
          { path: 'link', mode: 0o120777, data: Buffer.from('d/five') },
        ]),
      );
      const result = spawnSync('cpio', ['-idm', '--quiet', '-F', archive], { cwd: folder, encoding: 'utf8' });
      if (result.error) this.skip();
      expect(result.stderr).to.equal('');
      expect(readFileSync(join(folder, 'd/five'), 'utf8')).to.equal('12345');
      expect(lstatSync(join(folder, 'd/five')).mode).to.equal(0o100755);
      expect(lstatSync(join(folder, 'd/empty')).size).to.equal(0);
      expect(readlinkSync(join(folder, 'link'))).to.equal('d/five');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  const dependencies = parseModulesDep(`kernel/a/aesni-intel.ko.xz: kernel/c/crypto_simd.ko.xz kernel/c/cryptd.ko.xz
kernel/c/crypto_simd.ko.xz: kernel/c/cryptd.ko.xz
kernel/c/cryptd.ko.xz:
kernel/c/ccm.ko.xz:
`);

  it('loads what a module needs before it, each module once', () => {
    expect(loadOrder(dependencies, ['aesni_intel', 'cryptd'])).to.deep.equal([
      'kernel/c/cryptd.ko.xz',
      'kernel/c/crypto_simd.ko.xz',
      'kernel/a/aesni-intel.ko.xz',
    ]);
  });

  it('skips modules that this kernel does not have', () => {
    expect(loadOrder(dependencies, ['sha256_ssse3', 'ccm'])).to.deep.equal(['kernel/c/ccm.ko.xz']);
  });
});

describe('lab: machine', () => {
  const options = { image: '/i', initramfs: '/r', variables: { job: 12, stdin: 0 }, memory: 512, cpus: 3 };

  it('doubles a comma in the path of a share, which would otherwise begin another option', () => {
    const args = machineArguments({ ...options, output: '/a,readonly=off' });
    expect(args.find((arg) => arg.includes('mount_tag=output'))).to.include('path=/a,,readonly=off,mount_tag');
  });

  it('shares nothing writable without an output folder', () => {
    const shares = machineArguments(options).filter((arg) => arg.includes('mount_tag='));
    expect(shares).to.have.lengthOf(1);
    expect(shares[0]).to.match(/,readonly=on$/);
  });

  it('passes memory, processors and the variables of init', () => {
    const args = machineArguments(options);
    expect(args[args.indexOf('-m') + 1]).to.equal('512');
    expect(args[args.indexOf('-smp') + 1]).to.equal('3');
    expect(args[args.indexOf('-append') + 1]).to.match(/ dmalg_job=12 dmalg_stdin=0$/);
  });
});

describe('lab: kernel image', () => {
  it('finds the compressed kernel by the setup header', () => {
    const image = Buffer.alloc(4096);
    image[0x1f1] = 2;
    image.write('HdrS', 0x202);
    image.writeUInt32LE(16, 0x248);
    image.writeUInt32LE(12, 0x24c);
    image.write('compress', 3 * 512 + 16);
    expect(`${payload(image)}`).to.equal('compress');
  });

  it('leaves alone what is no bzImage', () => {
    expect(payload(Buffer.alloc(4096))).to.equal(undefined);
    expect(payload(Buffer.from('short'))).to.equal(undefined);
  });
});
