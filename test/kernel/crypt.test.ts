import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { expect } from 'chai';
import { CryptConvert } from '../../lib/dm/crypt/convert.js';
import { openTable } from '../../lib/dm/open-table.js';
import { TableError } from '../../lib/dm/table-error.js';
import { cases, listed, refused } from './crypt-cases.js';

/** Bytes of a volume. Each has its own stretch of the backing file. */
const size = 32768;
const sectors = size / 512;
const firstSector = 16;

/** Bytes that look random and are the same in every run. */
function bytes(seed: string, length: number): Buffer {
  const hashes = Array.from({ length: Math.ceil(length / 32) }, (_, i) => createHash('sha256').update(`${seed} ${i}`));
  return Buffer.concat(hashes.map((hash) => hash.digest())).subarray(0, length);
}
const refusedKey = bytes('key', 32).toString('hex');

/** Every volume that the kernel accepts: the cases, and those of which only the status is looked at. */
const volumes = [
  ...cases,
  ...listed.map((options) => ({ cipher: 'aes-cbc-plain64', key: 32, offset: 8n, options, kernelOnly: true })),
].map(({ cipher, key: keySize, offset = 0n, options = '', kernelOnly = false }, index) => {
  const key = bytes(`${cipher} key`, keySize);
  const start = firstSector + index * sectors;
  const line = (device: string) =>
    `0 ${sectors} crypt ${cipher} ${key.toString('hex').toUpperCase() || '-'} ${offset} ${device} ${start} ${options}`.trim();
  return { name: `crypt${index}`, cipher, key, offset, options, kernelOnly, start, line };
});

function access<T>(path: string, use: (fd: number) => T): T {
  const fd = openSync(path, 'r+');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}
function readAt(path: string, at: number): Buffer {
  const out = Buffer.alloc(size);
  access(path, (fd) => expect(readSync(fd, out, 0, size, at)).to.equal(size));
  return out;
}

/** What the kernel has logged since the last call. */
function newLog(fd: number): string {
  const record = Buffer.alloc(8192);
  let text = '';
  for (;;)
    try {
      text += record.toString('utf8', 0, readSync(fd, record)).replace(/^[^;]*;/, '');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return text;
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error; // overwritten meanwhile
    }
}

// One dmsetup for all volumes: under emulation, starting programs would take most of the time.
describe("dm-crypt: the kernel's bytes", function () {
  this.timeout(60_000);
  let folder = '';
  let backing = '';
  let loop = '';
  let log = -1;
  /** By the volumes' names: the node, and what dmsetup prints. */
  const nodes = new Map<string, string>();
  const printed = {
    table: new Map<string, string>(),
    showKeys: new Map<string, string>(),
    status: new Map<string, string>(),
  };

  before(() => {
    folder = mkdtempSync('/dev/shm/dmalg-crypt-');
    backing = `${folder}/image`;
    writeFileSync(backing, Buffer.alloc((firstSector + volumes.length * sectors) * 512));
    log = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
    execFileSync('modprobe', ['--all', 'loop', 'dm-crypt']);
    loop = execFileSync('losetup', ['--find', '--show', backing]).toString().trim();
    const concise = volumes.map(({ name, line }) => `${name},,,rw,${line(loop).replaceAll(',', '\\,')}`).join(';');
    execFileSync('dmsetup', ['create', '--noudevsync', '--concise', concise]);
    for (const node of readdirSync('/sys/block'))
      if (node.startsWith('dm-')) nodes.set(readFileSync(`/sys/block/${node}/dm/name`, 'utf8').trim(), `/dev/${node}`);
    for (const [lines, args] of [
      [printed.table, ['table']],
      [printed.showKeys, ['table', '--showkeys']],
      [printed.status, ['status']],
    ] as const)
      for (const line of execFileSync('dmsetup', [...args])
        .toString()
        .split('\n')) {
        const [name = '', rest = ''] = line.split(/: (.*)/);
        lines.set(name, rest.replace(/ \d+:\d+ /, ` ${loop} `));
      }
  });
  after(() => {
    if (nodes.size) execFileSync('dmsetup', ['remove', '--noudevsync', '--retry', ...nodes.keys()]);
    if (loop) execFileSync('losetup', ['--detach', loop]);
    if (folder) rmSync(folder, { recursive: true });
    if (log >= 0) closeSync(log);
  });

  for (const { name, cipher, key, offset, options, kernelOnly, start, line } of volumes.slice(0, cases.length))
    it(`${cipher}, key of ${key.length} bytes, iv_offset ${offset}, options '${options}'`, async () => {
      const device = nodes.get(name)!;
      const [first, second] = [bytes(`${cipher} first`, size), bytes(`${cipher} second`, size)];
      access(device, (fd) => {
        writeSync(fd, first, 0, size, 0);
        fsyncSync(fd);
      });
      const sealed = readAt(backing, start * 512);
      const sectorSize = Number(/sector_size:(\d+)/.exec(options)?.[1] ?? 512);
      const ivLargeSectors = options.includes('iv_large_sectors');
      for (const provider of kernelOnly ? (['kernel'] as const) : (['kernel', 'library'] as const)) {
        using convert = new CryptConvert({ cipher, key, ivOffset: offset, sectorSize, ivLargeSectors, provider });
        const out = Buffer.alloc(size);
        await convert.convert('decrypt', 0, sealed, out);
        expect(out.equals(first), `${provider}: reads what the kernel wrote`).to.equal(true);
        await convert.convert('encrypt', 0, first, out);
        expect(out.equals(sealed), `${provider}: writes what the kernel wrote`).to.equal(true);
      }
      const ours = await openTable(line(backing), { provider: kernelOnly ? 'kernel' : 'library' });
      await ours.write(0, second);
      await ours.close();
      // The kernel's cache of the device went when it was closed.
      expect(readAt(device, 0).equals(second), 'the kernel reads what we wrote').to.equal(true);
    });

  for (const { name, cipher, options, kernelOnly, line } of volumes)
    it(`table and status are the same: ${cipher} '${options}'`, async () => {
      const ours = await openTable(line(loop), { provider: kernelOnly ? 'kernel' : 'library' });
      expect(ours.table()).to.equal(printed.table.get(name));
      expect(ours.table({ showKeys: true })).to.equal(printed.showKeys.get(name));
      expect(ours.status()).to.equal(printed.status.get(name));
      await ours.close();
    });

  for (const line of refused)
    it(`refused in the same words: ${line}`, async () => {
      const table = `0 ${sectors} crypt ${line.replaceAll('KEY', refusedKey).replace('DEV', loop)}`;
      newLog(log);
      const { status } = spawnSync('dmsetup', ['create', '--noudevsync', 'refused', '--table', table]);
      expect(status).to.equal(1);
      const text = newLog(log);
      const words = /device-mapper: table: (?:\d+:\d+: )?crypt: (.*?)(?: \(-E\w+\))?$/m.exec(text)?.[1];
      expect(words, text).to.be.a('string');
      const error = await openTable(table, { provider: 'kernel' }).then(
        () => undefined,
        (reason) => reason,
      );
      expect(error).to.be.instanceOf(TableError);
      expect((error as TableError).reason).to.equal(words);
    });
});
