import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { formatVerity } from '../../lib/verity/format.js';
import { Serving } from '../support/nbd-serve.js';
import { needPrograms } from '../support/need-programs.js';
import { randomBytes } from '../support/random-bytes.js';

const node = '/dev/nbd0';
const mebibyte = 1 << 20;
const key = Buffer.from(Array.from({ length: 64 }, (_, index) => index)).toString('hex');

/** Runs a program. @throws Error with what it printed */
function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error || status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${error ?? `${status} ${stdout}${stderr}`}`);
  return stdout;
}

const attach = (folder: string, ...options: string[]) =>
  run('nbd-client', '-unix', join(folder, 'socket'), node, '-N', '', '-b', '4096', ...options);
const detach = () => run('nbd-client', '-d', node);
/** Sectors of the device; none when it is not attached. */
const sectors = () => Number(readFileSync('/sys/block/nbd0/size', 'utf8'));

/** A tree of files in folders, of sizes around those of blocks. */
function writeTree(folder: string, seed: number): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const [index, size] of [0, 1, 511, 4096, 4097, 70_000, 300_000].entries()) {
    const path = join(`folder ${index % 3}`, `file ${seed} of ${size}`);
    mkdirSync(join(folder, path, '..'), { recursive: true });
    const bytes = randomBytes(`file ${seed} ${index}`, size);
    writeFileSync(join(folder, path), bytes);
    files.set(path, bytes);
  }
  return files;
}

function expectTree(folder: string, files: ReadonlyMap<string, Buffer>): void {
  for (const [path, bytes] of files) expect(readFileSync(join(folder, path)).equals(bytes), path).to.equal(true);
}

describe("a table, served to this kernel's NBD client", () => {
  let folder: string;
  let mountPoint: string;

  before(function () {
    needPrograms(this, { 'nbd-client': 'nbd-client', 'mkfs.ext4': 'e2fsprogs', e2fsck: 'e2fsprogs', modprobe: 'kmod' });
    execFileSync('modprobe', ['nbd', 'nbds_max=1']);
    execFileSync('modprobe', ['ext4']);
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-nbd-'));
    mountPoint = join(folder, 'mnt');
    mkdirSync(mountPoint);
  });

  afterEach(async () => {
    spawnSync('umount', ['--lazy', mountPoint]);
    if (sectors() > 0) detach();
    Serving.killAll();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (table: string) => Serving.start(folder, ['--table', table, '--socket', 'socket']);

  it('ext4 on a crypt export, before and after the server is killed', async () => {
    const image = join(folder, 'image');
    writeFileSync(image, '');
    truncateSync(image, 24 * mebibyte);
    const table = `0 ${(24 * mebibyte) / 512} crypt aes-xts-plain64 ${key} 0 ${image} 0 1 sector_size:4096`;
    let server = await start(table);
    attach(folder);
    expect(sectors()).to.equal((24 * mebibyte) / 512);
    run('mkfs.ext4', '-q', '-b', '4096', node);
    run('mount', node, mountPoint);
    const before = writeTree(mountPoint, 1);
    run('umount', mountPoint);
    run('e2fsck', '-f', '-n', node);

    run('mount', node, mountPoint);
    expectTree(mountPoint, before);
    const synced = writeTree(mountPoint, 2);
    run('sync', '--file-system', mountPoint);
    // What comes now may be lost with the server, but no more than that.
    writeFileSync(join(mountPoint, 'not synced'), randomBytes('not synced', 50_000));
    await server.stop('SIGKILL');
    spawnSync('umount', [mountPoint]);
    detach();

    server = await start(table);
    attach(folder);
    // The journal is played back first.
    run('mount', node, mountPoint);
    expectTree(mountPoint, before);
    expectTree(mountPoint, synced);
    run('umount', mountPoint);
    run('e2fsck', '-f', '-n', node);
    detach();
    expect(await server.stop('SIGTERM')).to.equal(0);
    expect(readFileSync(image).includes('file 1 of 4096'), 'names of files in the image').to.equal(false);
  });

  it('ext4 on a verity export: a corrupted block is EIO, and with FEC corrected', async () => {
    const image = join(folder, 'image');
    writeFileSync(image, '');
    truncateSync(image, 8 * mebibyte);
    const source = join(folder, 'source');
    mkdirSync(source);
    const files = writeTree(source, 3);
    // Without a journal: a device that cannot be written cannot play one back.
    run('mkfs.ext4', '-q', '-b', '4096', '-O', '^has_journal', '-d', source, image);
    const [hash, fec] = [join(folder, 'hash'), join(folder, 'fec')];
    const { dataBlocks, hashBlocks, rootHash, salt } = await formatVerity(image, hash, {
      fec: { path: fec, roots: 2 },
    });
    const largest = files.get('folder 0/file 3 of 300000')!;
    const at = readFileSync(image).indexOf(largest.subarray(8192, 12288));
    expect(at % 4096, 'a block of a file').to.equal(0);
    const fd = openSync(image, 'r+');
    writeSync(fd, randomBytes('corrupted', 4096), 0, 4096, at);
    fsyncSync(fd);
    closeSync(fd);
    const line = `0 ${dataBlocks * 8} verity 1 ${image} ${hash} 4096 4096 ${dataBlocks} 1 sha256 ${rootHash.toString('hex')} ${Buffer.from(salt).toString('hex')}`;
    const withFec = `${line} 8 use_fec_from_device ${fec} fec_blocks ${dataBlocks + hashBlocks} fec_start 0 fec_roots 2`;
    const spoilt = 'folder 0/file 3 of 300000';
    for (const [table, corrects] of [
      [line, false],
      [withFec, true],
    ] as const) {
      const server = await start(table);
      attach(folder, '-readonly');
      expect(readFileSync('/sys/block/nbd0/ro', 'utf8').trim()).to.equal('1');
      run('mount', '-o', 'ro', node, mountPoint);
      const whole = new Map([...files].filter(([path]) => path !== spoilt));
      expectTree(mountPoint, whole);
      const read = () => readFileSync(join(mountPoint, spoilt));
      if (corrects) expect(read().equals(largest)).to.equal(true);
      else expect(read).to.throw(/EIO/);
      run('umount', mountPoint);
      detach();
      expect(await server.stop('SIGTERM')).to.equal(0);
      expect(server.stderr).to.contain(`data block ${at / 4096} is ${corrects ? 'corrected' : 'corrupted'}`);
    }
    expect(readdirSync(folder).includes('socket'), 'the socket file of a server that has ended').to.equal(false);
  });
});
