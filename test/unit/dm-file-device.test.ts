import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { binding } from '../../lib/base/binding.js';
import { EOPNOTSUPP } from '../../lib/base/errno.js';
import { Device } from '../../lib/dm/device.js';
import { DeviceError } from '../../lib/dm/device-error.js';
import { MappedTable } from '../../lib/dm/mapped-table.js';
import { openTable } from '../../lib/dm/open-table.js';
import { TableError } from '../../lib/dm/table-error.js';
import { ManualDevice } from '../support/manual-device.js';

const mebibyte = 1 << 20;
const { EAGAIN } = constants.errno;

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.fail('no error'),
    (error) => error,
  );
}

describe('file device', function () {
  this.timeout(600_000);
  let folder: string;
  let path: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-file-'));
    path = join(folder, 'image');
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const [title, direct] of [
    ['through the page cache', false],
    ['past it', true],
  ] as const)
    describe(title, () => {
      it('a discard that gets no memory ends with ENOMEM', async () => {
        writeFileSync(path, Buffer.alloc(mebibyte, 7));
        await using device = await openTable(`0 2048 linear ${path} 0`, { direct });
        const { file_discard } = binding();
        binding().file_discard = () => -constants.errno.ENOMEM;
        try {
          expect(await failure(device.discard(0, mebibyte))).to.include({ code: 'ENOMEM' });
        } finally {
          binding().file_discard = file_discard;
        }
        await device.discard(0, mebibyte);
      });
      it('a discard gives the space of a file back, whose size stays', async () => {
        writeFileSync(path, Buffer.alloc(4 * mebibyte, 7), { flush: true });
        const before = statSync(path);
        await using device = await openTable(`0 8192 linear ${path} 0`, { direct });
        await device.discard(mebibyte, 2 * mebibyte);
        const after = statSync(path);
        expect([after.size, before.blocks - after.blocks]).to.deep.equal([before.size, (2 * mebibyte) / 512]);
        const expected = Buffer.alloc(4 * mebibyte, 7).fill(0, mebibyte, 3 * mebibyte);
        expect(expected.equals(readFileSync(path))).to.equal(true);
      });

      it('where the file system has no holes a discard writes zeroes', async () => {
        const native = binding();
        const { file_discard } = native;
        let asked = 0;
        native.file_discard = (_fd, _isDevice, _offset, _length, done) => {
          asked++;
          setImmediate(done, -EOPNOTSUPP);
          return 0;
        };
        try {
          writeFileSync(path, Buffer.alloc(3 * mebibyte, 7));
          await using device = await openTable(`0 6144 linear ${path} 0`, { direct });
          await device.discard(4096, 2 * mebibyte);
          await device.discard(3 * mebibyte - 4096, 4096);
        } finally {
          native.file_discard = file_discard;
        }
        const expected = Buffer.alloc(3 * mebibyte, 7)
          .fill(0, 4096, 4096 + 2 * mebibyte)
          .fill(0, 3 * mebibyte - 4096);
        expect(expected.equals(readFileSync(path))).to.equal(true);
        expect(asked).to.equal(1);
      });

      it('reads and writes any bytes, from buffers anywhere in memory', async () => {
        const size = 65536;
        const step = fc.record({
          offset: fc.nat(size),
          length: fc.nat(20000),
          shift: fc.nat(4096),
          value: fc.nat(255),
          fua: fc.boolean(),
        });
        const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
          const model = Buffer.alloc(size, 7);
          writeFileSync(path, model);
          await using device = await openTable(`0 ${size / 512} linear ${path} 0`, { direct });
          for (const { offset, length, shift, value, fua } of steps) {
            const count = Math.min(length, size - offset);
            const bytes = Buffer.alloc(shift + count, value).subarray(shift);
            model.fill(value, offset, offset + count);
            await device.write(offset, bytes, { fua });
            expect(bytes.equals(Buffer.alloc(count, value))).to.equal(true);
            expect(model.equals(await device.read(0, Buffer.alloc(shift + size).subarray(shift)))).to.equal(true);
          }
          expect(model.equals(readFileSync(path))).to.equal(true);
        });
        await fc.assert(property, { seed: 5, numRuns: 20 });
      });

      it('says which sectors are not there any more, and why', async () => {
        writeFileSync(path, Buffer.alloc(65536));
        await using device = await openTable(`0 128 linear ${path} 0`, { direct });
        truncateSync(path, 8192);
        const error = (await failure(device.read(0, 65536))) as DeviceError;
        expect(error).to.be.instanceOf(DeviceError);
        expect(error.code).to.equal('EIO');
        expect(error.failed).to.deep.equal([{ sector: 16, sectors: 112 }]);
        expect(error.message).to.equal(`EIO: read failed at sectors 16+112; ${path} has become shorter`);
      });
    });

  it('tells its holes from its data, through what is mapped on it', async () => {
    writeFileSync(path, '');
    truncateSync(path, mebibyte);
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(8192, 1), 0, 8192, 65536);
    closeSync(file);
    const lines = [
      `0 256 linear ${path} 64`,
      '256 8 zero',
      '264 8 error',
      `272 8 linear ${path} 0`,
      '280 8 linear ram 0',
    ];
    const ram = await openTable('0 8 linear ram:4096 0');
    await using device = await openTable(lines.join('\n'), { devices: { ram } });
    const extents = (offset: number, length: number) =>
      [...device.extents(offset, length)].map(({ length, hole }) => (hole ? -length : length));
    // 65536 of the file is 32768 of the device; a hole of 90112 bytes and the zero target adjoin.
    expect(extents(0, device.size)).to.deep.equal([-32768, 8192, -94208, 4096, -4096, 4096]);
    expect(extents(32767, 8194)).to.deep.equal([-1, 8192, -1]);
    expect(extents(33000, 1)).to.deep.equal([1]);
    expect(extents(0, 0)).to.deep.equal([]);
    expect(() => extents(0, device.size + 1)).to.throw(RangeError, 'length: expected 0 to');
    truncateSync(path, 70_000);
    expect(extents(0, 131072), 'what is not there any more is no hole').to.deep.equal([-32768, 98304]);
  });

  it('what the page cache has of a short read is taken from it, and the rest read from the file', async () => {
    const native = binding();
    const { file_read_cached } = native;
    const image = Buffer.from(Array.from({ length: 524288 }, (_, at) => (at * 7 + (at >> 8)) & 255));
    writeFileSync(path, image);
    let asked = 0;
    const read = async (has: number, offset: number, length: number, direct = false) => {
      asked = 0;
      native.file_read_cached = (fd, bytes, position) => {
        asked++;
        return has > 0 ? file_read_cached(fd, bytes.subarray(0, has), position) : has;
      };
      await using device = await openTable(`0 1024 linear ${path} 0`, { direct });
      for (let count = 0; count < 2; count++)
        expect(image.subarray(offset, offset + length).equals(await device.read(offset, length))).to.equal(true);
      return asked;
    };
    try {
      expect(await read(4096, 8192, 4096)).to.equal(2);
      expect(await read(4096, 8192, 65536), 'the first page only').to.equal(2);
      expect(await read(-EAGAIN, 8192, 4096)).to.equal(2);
      expect(await read(-EOPNOTSUPP, 8192, 4096), 'not again').to.equal(1);
      expect(await read(4096, 0, 524288), 'a long one').to.equal(0);
      expect(await read(4096, 8192, 4096, true), 'direct').to.equal(0);
    } finally {
      native.file_read_cached = file_read_cached;
    }
  });

  it('direct I/O goes in the blocks that the file system wants, and leaves out what is less at the end', async () => {
    writeFileSync(path, Buffer.alloc(8 * 4096 + 100));
    await using device = await openTable(`0 8 linear ${path} 0`, { direct: true });
    expect(device.blockSize).to.be.oneOf([512, 1024, 2048, 4096]);
    const error = await failure(openTable(`0 72 linear ${path} 0`, { direct: true }));
    expect((error as Error).message).to.include('too small for target: start=0, len=72, dev_size=64');
  });

  it('direct I/O is refused where the file system has none', async () => {
    const error = await failure(openTable('0 8 linear /proc/version 0', { readOnly: true, direct: true }));
    expect(error).to.be.instanceOf(TableError);
    expect(error).to.include({ reason: 'Device lookup failed', code: 'EINVAL', argument: 0 });
    expect((error as Error).message).to.include('its file system has no direct I/O; EINVAL: ');
  });
});

describe('the cause of an error', () => {
  it('comes up from the device below through everything that is mapped', async () => {
    const below = new ManualDevice(65536);
    const inner = await openTable('0 64 linear below 0\n64 64 linear below 64', { devices: { below } });
    const outer = await openTable('0 100 delay inner 8 0', { devices: { inner } });
    const read = failure(outer.read(0, 51200));
    await new Promise(setImmediate);
    const cause = new Error('ENOSPC: no space left on device, write');
    for (const bio of below.waiting.splice(0)) bio.end({ code: 'ENOSPC', failed: [{ first: 1, count: 1 }], cause });
    const error = (await read) as DeviceError;
    expect(error.code).to.equal('ENOSPC');
    expect(error.cause).to.equal(cause);
    expect(error.failed).to.deep.equal([
      { sector: 1, sectors: 1 },
      { sector: 57, sectors: 1 },
    ]);
  });

  /** A device whose only target does this with its bios. */
  const deviceOf = (map: (bio: { end(): void }) => void) =>
    new Device(
      new MappedTable(
        [
          {
            start: 0,
            length: 8,
            type: 'test',
            target: { map, flushes: true, discards: true, status: () => '' },
          },
        ],
        [],
      ),
    );

  it('is what a target has thrown, which ends the bio as an I/O error', async () => {
    const cause = new TypeError('a bug');
    await using device = deviceOf(() => {
      throw cause;
    });
    for (const [run, failed] of [
      [() => device.read(0, 512), [{ sector: 0, sectors: 1 }]],
      [() => device.write(512, Buffer.alloc(1024)), [{ sector: 1, sectors: 2 }]],
      [() => device.discard(0, 4096), [{ sector: 0, sectors: 8 }]],
      [() => device.flush(), []],
    ] as const) {
      const error = (await failure(run())) as DeviceError;
      expect(error).to.be.instanceOf(DeviceError);
      expect(error.code).to.equal('EIO');
      expect(error.cause).to.equal(cause);
      if (failed.length) expect(error.failed).to.deep.equal(failed);
      expect(error.message).to.match(/; a bug$/);
    }
  });

  it('a target that has ended its bio and then throws is not covered up', () => {
    const device = deviceOf((bio) => {
      bio.end();
      throw new TypeError('a bug');
    });
    return failure(device.read(0, 512)).then((error) => expect(error).to.be.instanceOf(TypeError));
  });
});
