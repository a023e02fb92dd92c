import fs, { ftruncateSync, mkdtempSync, openSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Bio } from '../../../lib/dm/bio.js';
import type { Device } from '../../../lib/dm/device.js';
import { DeviceError } from '../../../lib/dm/device-error.js';
import { openTable } from '../../../lib/dm/open-table.js';
import { createHash } from '../../../lib/index.js';
import { ManualDevice } from '../../support/manual-device.js';

const provider = 'library' as const;
const key = createHash('sha512', { provider }).update('key').digest('hex');

/** Lets go whatever waits below, until a promise has settled. What went, in order. */
async function drain(devices: ManualDevice[], promise: Promise<unknown>): Promise<string[]> {
  const went: string[] = [];
  let isSettled = false;
  promise.then(
    () => {
      isSettled = true;
    },
    () => {
      isSettled = true;
    },
  );
  while (!isSettled) {
    for (const [index, device] of devices.entries())
      while (device.waiting.length > 0) {
        went.push(devices.length > 1 ? `${index}: ${device.list[0]}` : device.list[0]!);
        device.go();
      }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await promise;
  return went;
}

describe('what a device does to be durable', function () {
  this.timeout(60_000);
  const linear = (below: ManualDevice): Promise<Device> =>
    openTable(`0 ${below.sectors} linear below 0`, { devices: { below }, provider });
  const crypt = (below: ManualDevice): Promise<Device> =>
    openTable(`0 ${below.sectors} crypt aes-xts-plain64 ${key} 0 below 0`, { devices: { below }, provider });

  for (const [name, open] of Object.entries({ linear, crypt })) {
    it(`${name}: FUA of a write of whole blocks, and of a part of one, reaches what is below`, async () => {
      const below = new ManualDevice(65536);
      await using device = await open(below);
      expect(await drain([below], device.write(4096, Buffer.alloc(512), { fua: true }))).to.deep.equal([
        'write fua 8+1',
      ]);
      expect(await drain([below], device.write(4096, Buffer.alloc(512)))).to.deep.equal(['write 8+1']);
      expect(await drain([below], device.write(4100, Buffer.alloc(10), { fua: true }))).to.deep.equal([
        'read 8+1',
        'write fua 8+1',
      ]);
    });

    it(`${name}: a write of no bytes with FUA is a flush, and without it nothing`, async () => {
      const below = new ManualDevice(65536);
      await using device = await open(below);
      expect(await drain([below], device.write(0, Buffer.alloc(0), { fua: true }))).to.deep.equal(['flush 0+0']);
      expect(await drain([below], device.write(0, Buffer.alloc(0)))).to.deep.equal([]);
    });
  }

  it('a flush reaches every line', async () => {
    const below = [new ManualDevice(4096), new ManualDevice(4096), new ManualDevice(4096)];
    const [a, b, c] = below as [ManualDevice, ManualDevice, ManualDevice];
    const table = '0 8 linear a 0\n8 8 linear b 0\n16 8 linear c 0';
    await using device = await openTable(table, { devices: { a, b, c } });
    expect(await drain(below, device.flush())).to.deep.equal(['0: flush 0+0', '1: flush 0+0', '2: flush 0+0']);
  });

  it('FUA of a write over several lines reaches each', async () => {
    const below = [new ManualDevice(4096), new ManualDevice(4096)];
    const [a, b] = below as [ManualDevice, ManualDevice];
    await using device = await openTable('0 8 linear a 0\n8 8 linear b 0', { devices: { a, b } });
    expect(await drain(below, device.write(0, Buffer.alloc(8192), { fua: true }))).to.deep.equal([
      '0: write fua 0+8',
      '1: write fua 0+8',
    ]);
  });

  it('what came while it was suspended goes on in its order', async () => {
    const below = new ManualDevice(65536);
    await using device = await linear(below);
    await device.suspend();
    const ends: number[] = [];
    const all = [3, 1, 4, 1, 5].map(
      (sector, index) =>
        new Promise<void>((resolve) => {
          device.submit(
            new Bio({ op: 'write', sector, bytes: Buffer.alloc(512, index) }, () => {
              ends.push(index);
              resolve();
            }),
          );
        }),
    );
    expect(below.list).to.deep.equal([]);
    await device.resume();
    expect(below.list).to.deep.equal(['write 3+1', 'write 1+1', 'write 4+1', 'write 1+1', 'write 5+1']);
    await drain([below], Promise.all(all));
    expect(ends).to.deep.equal([0, 1, 2, 3, 4]);
  });

  it('a write waits for the reads and writes before it that it overlaps, and goes when they have ended', async () => {
    const below = new ManualDevice(65536);
    await using device = await linear(below);
    const first = device.read(0, 1024);
    const second = device.write(512, Buffer.alloc(1024));
    const third = device.read(1024, 512);
    expect(below.list).to.deep.equal(['read 0+2']);
    below.go();
    await first;
    expect(below.list).to.deep.equal(['write 1+2']);
    below.go();
    await second;
    expect(below.list).to.deep.equal(['read 2+1']);
    below.go();
    await third;
  });
});

describe('what a file does to be durable', function () {
  this.timeout(60_000);
  let folder = '';
  const { fdatasync } = fs;
  let synced: number[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-durable-'));
    synced = [];
    fs.fdatasync = ((fd: number, done: (error: NodeJS.ErrnoException | null) => void) => {
      synced.push(fd);
      fdatasync(fd, done);
    }) as typeof fs.fdatasync;
    syncBuiltinESMExports();
  });
  afterEach(() => {
    fs.fdatasync = fdatasync;
    syncBuiltinESMExports();
    rmSync(folder, { recursive: true, force: true });
  });

  it('syncs for a flush, and for a write with FUA, and for no other', async () => {
    writeFileSync(join(folder, 'disk'), Buffer.alloc(8192));
    await using device = await openTable(`0 16 linear ${folder}/disk 0`);
    await device.write(0, Buffer.alloc(512, 1));
    await device.read(0, 512);
    expect(synced).to.have.length(0);
    await device.write(512, Buffer.alloc(512, 2), { fua: true });
    expect(synced).to.have.length(1);
    await device.write(100, Buffer.alloc(7, 3), { fua: true });
    expect(synced).to.have.length(2);
    await device.flush();
    expect(synced).to.have.length(3);
  });

  it('a sync that fails, fails the flush, and the write with FUA, with all its sectors', async () => {
    writeFileSync(join(folder, 'disk'), Buffer.alloc(8192));
    await using device = await openTable(`0 16 linear ${folder}/disk 0`);
    fs.fdatasync = ((_fd: number, done: (error: NodeJS.ErrnoException | null) => void) =>
      done(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }))) as typeof fs.fdatasync;
    syncBuiltinESMExports();
    const failed: unknown[] = [];
    for (const work of [device.flush(), device.write(1024, Buffer.alloc(1024), { fua: true })]) {
      const error = await work.catch((error: DeviceError) => error);
      expect(error).to.be.instanceOf(DeviceError).with.property('code', 'EIO');
      failed.push((error as DeviceError).failed);
    }
    expect(failed).to.deep.equal([[{ sector: 0, sectors: 0 }], [{ sector: 2, sectors: 2 }]]);
  });

  for (const direct of [false, true])
    it(`of a file that has become shorter, what was moved is no part of the failed range${direct ? ', direct' : ''}`, async () => {
      const path = join(folder, 'disk');
      writeFileSync(path, Buffer.alloc(65536, 7));
      await using device = await openTable(`0 128 linear ${path} 0`, { direct });
      truncateSync(path, 20480);
      const error = await device.read(0, 65536).catch((error: DeviceError) => error);
      expect(error).to.be.instanceOf(DeviceError);
      expect((error as DeviceError).failed).to.deep.equal([{ sector: 40, sectors: 88 }]);
      const odd = openSync(path, 'r+');
      ftruncateSync(odd, 20480 + 1000);
      const second = await device.read(16384, 8192).catch((error: DeviceError) => error);
      expect((second as DeviceError).failed).to.deep.equal([{ sector: 41, sectors: 7 }]);
    });
});
