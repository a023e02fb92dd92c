import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Device } from '../../lib/dm/device.js';
import { DeviceError } from '../../lib/dm/device-error.js';
import { openTable } from '../../lib/dm/open-table.js';
import { TableError } from '../../lib/dm/table-error.js';
import { ManualClock } from '../support/manual-clock.js';
import { ManualDevice } from '../support/manual-device.js';

/** Lets what is ready go on. */
const settle = () => new Promise(setImmediate);

async function failure(promise: Promise<unknown>): Promise<DeviceError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).to.be.instanceOf(DeviceError);
  return error as DeviceError;
}

describe('device', () => {
  const sectors = 64;
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-dm-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Any operations on the device that `open` makes of some borders between sectors have to do what they do to a plain buffer. */
  async function isPlainBytes(
    numRuns: number,
    open: (edges: number[], below: Device) => Promise<Device>,
  ): Promise<void> {
    const step = fc.record({
      op: fc.constantFrom('write', 'write', 'read', 'discard', 'flush'),
      offset: fc.integer({ min: 0, max: sectors * 512 }),
      length: fc.integer({ min: 0, max: 9000 }),
      value: fc.integer({ min: 1, max: 255 }),
      wait: fc.boolean(),
    });
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: sectors - 1 }), { maxLength: 6 });
    const property = fc.asyncProperty(cuts, fc.array(step, { maxLength: 25 }), async (borders, steps) => {
      const edges = [0, ...borders.sort((a, b) => a - b), sectors];
      const below = await openTable(`0 30 linear ram:${sectors * 512} 0\n30 34 linear ram:${sectors * 512} 30`);
      await using device = await open(edges, below);
      const block = device.blockSize;
      const model = Buffer.from(await device.read(0, sectors * 512));
      const running: Promise<unknown>[] = [];
      for (const { op, offset, length, value, wait } of steps) {
        const count = Math.min(length, model.length - offset);
        const aligned = { start: Math.ceil(offset / block) * block, end: Math.floor((offset + count) / block) * block };
        if (op === 'flush') running.push(device.flush());
        else if (op === 'read') {
          const expected = Buffer.from(model.subarray(offset, offset + count));
          const check = (bytes: Uint8Array) => expect(expected.equals(bytes), `read ${offset}+${count}`).to.equal(true);
          running.push(device.read(offset, count).then(check));
        } else if (op === 'write') {
          model.fill(value, offset, offset + count);
          running.push(device.write(offset, Buffer.alloc(count, value), { fua: wait }));
        } else if (device.discards && aligned.end > aligned.start) {
          model.fill(0, aligned.start, aligned.end);
          running.push(device.discard(aligned.start, aligned.end - aligned.start));
        }
        if (wait) await Promise.all(running.splice(0));
      }
      await Promise.all(running);
      expect(model.equals(await device.read(0, model.length))).to.equal(true);
      await below.close();
    });
    await fc.assert(property, { seed: 3, numRuns });
  }

  it('is a plain array of bytes, however it is made of linear pieces', () =>
    isPlainBytes(150, (edges, below) => {
      // The pieces lie in the device below in the other order, and that device is mapped, too.
      const lines = edges.slice(1).map((end, index) => {
        return `${edges[index]} ${end - edges[index]!} linear below ${sectors - end}`;
      });
      return openTable(lines.join('\n'), { devices: { below } });
    }));

  for (const size of [512, 4096])
    it(`is one through crypt with ${size}-byte sectors, delay and flakey`, () =>
      isPlainBytes(40, async (_, below) => {
        const key = Buffer.from(Array.from({ length: 64 }, (_, index) => index)).toString('hex');
        const lines = [
          `0 24 crypt aes-xts-plain64 ${key} 8 below 40 1 sector_size:${size}`,
          '24 16 delay below 24 0',
          `40 24 crypt aes-xts-plain64 ${key} 0 flaky 0 1 sector_size:${size}`,
        ];
        const flaky = await openTable('0 24 flakey below 0 3600 0', { devices: { below } });
        return openTable(lines.join('\n'), { devices: { below, flaky }, provider: 'library' });
      }));

  it('tells exactly the sectors that failed, wherever error lies', async () => {
    const kinds = fc.array(fc.tuple(fc.constantFrom('error', 'zero'), fc.integer({ min: 1, max: 9 })), {
      minLength: 1,
    });
    const property = fc.asyncProperty(kinds, fc.nat(), fc.nat(), async (lines, from, to) => {
      const bad: boolean[] = [];
      const text = lines.map(([type, length]) => {
        const start = bad.length;
        for (let sector = 0; sector < length; sector++) bad.push(type === 'error');
        return `${start} ${length} ${type}`;
      });
      await using device = await openTable(text.join('\n'));
      const first = from % bad.length;
      const count = 1 + (to % (bad.length - first));
      const expected = bad.flatMap((is, sector) => (is && sector >= first && sector < first + count ? [sector] : []));
      for (const run of [
        () => device.read(first * 512, count * 512),
        () => device.write(first * 512, Buffer.alloc(count * 512)),
        () => device.discard(first * 512, count * 512),
      ]) {
        const outcome = await run().then(
          () => [],
          (error: DeviceError) => error.failed,
        );
        const failed = outcome.flatMap(({ sector, sectors }) => Array.from({ length: sectors }, (_, i) => sector + i));
        expect(failed).to.deep.equal(expected);
      }
    });
    await fc.assert(property, { seed: 3 });
  });

  it('reads the blocks first that a write covers in part, and no others', async () => {
    const below = new ManualDevice(65536, 4096);
    const device = await openTable('0 128 linear below 0', { devices: { below } });
    const all = async (list: string[]) => {
      await settle();
      expect(below.list).to.deep.equal(list);
      while (below.waiting.length) below.go();
    };
    expect(device.blockSize).to.equal(4096);
    const whole = device.write(4096, Buffer.alloc(8192, 1), { fua: true });
    await all(['write fua 8+16']);
    await whole;
    const within = device.write(5000, Buffer.from('within'));
    await all(['read 8+8']);
    await all(['write 8+8']);
    await within;
    const across = device.write(4095, Buffer.alloc(8194, 2));
    await all(['read 0+8', 'read 24+8']);
    await all(['write 0+32']);
    await across;
    const read = device.read(4094, 3);
    await all(['read 0+16']);
    expect([...(await read)]).to.deep.equal([0, 2, 2]);
    const fit = device.discard(512, 4096).catch((error: Error) => error.message);
    expect(await fit).to.match(/expected multiples of 4096 bytes/);
    await device.close();
    expect(below.closed).to.equal(false);
  });

  it('keeps overlapping writes in order and lets others pass', async () => {
    const below = new ManualDevice(8192);
    const device = await openTable('0 16 linear below 0', { devices: { below } });
    const first = device.write(0, Buffer.alloc(1024, 1));
    const second = device.write(512, Buffer.alloc(1024, 2));
    const read = device.read(0, 1536);
    const apart = device.write(4096, Buffer.alloc(512, 3));
    await settle();
    expect(below.list).to.deep.equal(['write 0+2', 'write 8+1']);
    below.go(1);
    await apart;
    below.go();
    await first;
    await settle();
    expect(below.list).to.deep.equal(['write 1+2']);
    below.go();
    await second;
    await settle();
    below.go();
    const bytes = await read;
    expect([bytes[0], bytes[511], bytes[512], bytes[1535]]).to.deep.equal([1, 1, 2, 2]);
    await device.close();
  });

  it('holds what comes while it is suspended, and ends first what is in flight', async () => {
    const below = new ManualDevice(4096);
    const device = await openTable('0 8 linear below 0', { devices: { below } });
    const before = device.write(0, Buffer.alloc(512, 1));
    await settle();
    let suspended = false;
    const suspend = device.suspend().then(() => {
      suspended = true;
    });
    const held = device.write(512, Buffer.alloc(512, 2));
    await settle();
    expect([suspended, below.list]).to.deep.equal([false, ['write 0+1']]);
    below.go();
    await Promise.all([before, suspend]);
    await settle();
    expect(below.list).to.deep.equal([]);
    expect((await failure(device.suspend())).code).to.equal('EINVAL');
    await device.resume();
    expect(below.list).to.deep.equal(['write 1+1']);
    below.go();
    await held;
    expect((await failure(device.resume())).message).to.equal('EINVAL: resume: the device is live');
    await device.close();
    expect((await failure(device.read(0, 512))).code).to.equal('ENXIO');
  });

  it('reads and writes files: bytes, flushes, discards, and a file that has become shorter', async () => {
    const path = join(folder, 'with space');
    writeFileSync(path, Buffer.alloc(5000, 7));
    const line = `0 8 linear ${path.replace(' ', '\\ ')} 1`;
    const device = await openTable(line);
    expect(device.table()).to.equal(line);
    expect(device.status()).to.equal('0 8 linear ');
    await device.write(511, Buffer.from('abc'), { fua: true });
    await device.discard(1024, 512);
    await device.flush();
    const bytes = readFileSync(path);
    expect(bytes.subarray(1022, 1028).toString('latin1')).to.equal('\x07abc\x07\x07');
    expect(bytes.subarray(1536, 2048).equals(Buffer.alloc(512))).to.equal(true);
    expect([bytes[1535], bytes[2048], bytes.length]).to.deep.equal([7, 7, 5000]);
    truncateSync(path, 2000);
    expect((await failure(device.read(0, 4096))).failed).to.deep.equal([{ sector: 2, sectors: 6 }]);
    await device.close();
    await device.close();
  });

  it('opens a file read-only when asked, and then cannot write', async () => {
    const path = join(folder, 'read-only');
    writeFileSync(path, Buffer.alloc(4096, 7), { mode: 0o444 });
    await using device = await openTable(`0 8 linear ${path} 0`, { readOnly: true });
    expect((await device.read(4095, 1))[0]).to.equal(7);
    const { code, failed } = await failure(device.write(0, Buffer.alloc(512)));
    expect({ code, failed }).to.deep.equal({ code: 'EROFS', failed: [{ sector: 0, sectors: 1 }] });
    expect((await failure(device.discard(0, 512))).code).to.equal('EROFS');
  });

  it('refuses what lies outside', async () => {
    await using device = await openTable('0 8 zero');
    for (const run of [
      () => device.read(0, 4097),
      () => device.read(-1, 1),
      () => device.read(4097, 0),
      () => device.read(0.5, 1),
      () => device.write(4096, Buffer.alloc(1)),
      () => device.discard(0, 8192),
    ]) {
      const error = await run().catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(RangeError);
    }
    expect(await device.read(4096, 0)).to.have.length(0);
  });

  it('answers messages as the kernel does where there is nobody to take them', async () => {
    await using device = await openTable('0 8 zero');
    expect((await failure(device.message('key wipe'))).message).to.include('Target type does not support messages');
    expect((await failure(device.message(['x'], { sector: 8 }))).message).to.include('outside device');
    expect((await failure(device.message(' '))).message).to.include('Empty message');
  });

  describe('table lines', () => {
    for (const [line, words] of [
      ['0 8 what', /what: unknown target type; expected linear/],
      ['0 8 zero x', /zero: No arguments required/],
      ['0 8 linear ram:4096', /linear: Invalid argument count/],
      ['0 8 linear ram:4096 +8', /linear: Invalid device sector/],
      ['0 8 linear ram:4096 x', /linear: Invalid device sector \(argument 2: 'x'\)/],
      ['0 8 linear /nowhere/at/all 0', /linear: Device lookup failed .*ENOENT/],
      ['0 8 linear /dev/null 0', /linear: Device lookup failed .*no regular file/],
      ['0 8 linear ram:4095 0', /linear: Device lookup failed .*512/],
      ['0 8 linear ram:4096 1', /ram:4096 too small for target: start=1, len=8, dev_size=8/],
      ['0 8 delay ram:4096 0', /delay: Requires exactly 3, 6 or 9 arguments/],
      ['0 8 delay ram:4096 0 1s', /delay: Invalid delay \(argument 3: '1s'\)/],
      ['0 8 flakey ram:4096 0 1', /flakey: Invalid argument count/],
      ['0 8 flakey ram:4096 0 0 0', /Total \(up \+ down\) interval is zero/],
      ['0 8 flakey ram:4096 0 1 x', /Invalid up interval \(argument 4: 'x'\)/],
      ['0 8 flakey ram:4096 0 1 1 12', /Invalid number of feature args/],
      ['0 8 flakey ram:4096 0 1 1 2 drop_writes', /Invalid number of feature args/],
      ['0 8 flakey ram:4096 0 1 1 1 what', /Unrecognised flakey feature requested \(argument 6: 'what'\)/],
      ['0 8 flakey ram:4096 0 1 1 2 drop_writes drop_writes', /Feature drop_writes duplicated/],
      ['0 8 flakey ram:4096 0 1 1 2 drop_writes error_writes', /Feature error_writes conflicts/],
      ['0 8 flakey ram:4096 0 1 1 1 corrupt_bio_byte', /Feature corrupt_bio_byte requires parameters/],
      ['0 8 flakey ram:4096 0 1 1 5 corrupt_bio_byte 0 r 1 0', /Invalid corrupt bio byte/],
      ['0 8 flakey ram:4096 0 1 1 5 corrupt_bio_byte 1 x 1 0', /Invalid corrupt bio direction/],
      ['0 8 flakey ram:4096 0 1 1 5 corrupt_bio_byte 1 r 256 0', /Invalid corrupt value/],
      ['0 8 flakey ram:4096 0 1 1 6 corrupt_bio_byte 1 w 1 0 drop_writes', /drop_writes is incompatible/],
      ['0 8 flakey ram:4096 0 1 1 1 random_read_corrupt', /Feature random_read_corrupt requires a parameter/],
      ['0 8 flakey ram:4096 0 1 1 2 random_read_corrupt 1000000001', /Invalid random corrupt argument/],
    ] as const)
      it(`refuses '${line}'`, async () => {
        const error = await openTable(line).catch((reason: unknown) => reason);
        expect(error).to.be.instanceOf(TableError);
        expect((error as TableError).message).to.match(/^table line 1: /);
        expect((error as TableError).message).to.match(words);
      });

    it('are numbered as in the text', async () => {
      const error = await openTable('# first\n0 8 zero\n\n8 8 zero x').catch((reason: Error) => reason.message);
      expect(error).to.equal('table line 4: zero: No arguments required (argument 1)');
    });

    it('gives back every line as it was', async () => {
      const table = [
        '0 8 linear ram:8192 8',
        '8 8 zero ',
        '16 8 error ',
        '24 8 linear ram:8192 0',
        '32 8 delay ram:8192 0 5',
        '40 8 delay ram:8192 0 5 ram:4096 0 6 ram:8192 3 7',
        '48 8 flakey ram:8192 0 1 2 1 error_reads',
        '56 8 flakey ram:8192 0 1 2 7 error_reads drop_writes corrupt_bio_byte 3 r 4 0',
        '64 8 flakey ram:8192 0 1 2 4 random_read_corrupt 5 random_write_corrupt 6',
      ].join('\n');
      await using device = await openTable(table);
      expect(device.table()).to.equal(table);
    });
  });

  describe('delay', () => {
    it('holds each class of bios for its time, counts them, and lets all go before it is suspended', async () => {
      const clock = new ManualClock();
      await using device = await openTable('0 8 delay ram:4096 0 10 ram:4096 0 20 ram:4096 0 30', { clock });
      const ended: string[] = [];
      const run = (name: string, promise: Promise<unknown>) => void promise.then(() => ended.push(name));
      run('write', device.write(0, Buffer.alloc(512, 5)));
      run('read', device.read(512, 512));
      run('flush', device.flush());
      await settle();
      expect(device.status()).to.equal('0 8 delay 1 1 1');
      for (const [ms, names] of [
        [9, []],
        [1, ['read']],
        [10, ['read', 'write']],
        [10, ['read', 'write', 'flush']],
      ] as const) {
        clock.pass(ms);
        await settle();
        expect(ended).to.deep.equal(names);
      }
      expect(device.status()).to.equal('0 8 delay 0 0 0');
      const late = device.read(0, 1);
      await settle();
      await device.suspend();
      expect((await late)[0]).to.equal(5);
      expect(clock.timers).to.equal(0);
      await device.resume();
      run('again', device.read(0, 1));
      await settle();
      expect(clock.timers).to.equal(1);
    });
  });

  describe('flakey', () => {
    async function flakey(features: string): Promise<{ device: Device; clock: ManualClock; below: ManualDevice }> {
      const clock = new ManualClock();
      const below = new ManualDevice(4096);
      below.submit = (bio) => {
        below.waiting.push(bio);
        below.go();
      };
      const device = await openTable(`0 8 flakey below 0 2 1${features}`, { clock, devices: { below } });
      return { device, clock, below };
    }
    const ones = Buffer.alloc(512, 1);

    it('fails everything while it is down, and only then', async () => {
      const { device, clock } = await flakey('');
      for (const [ms, down] of [
        [0, false],
        [1999, false],
        [1, true],
        [999, true],
        [1, false],
        [2000, true],
      ] as const) {
        clock.pass(ms);
        const outcomes = await Promise.allSettled([device.read(512, 512), device.write(512, ones), device.flush()]);
        expect(outcomes.map(({ status }) => status)).to.deep.equal(Array(3).fill(down ? 'rejected' : 'fulfilled'));
      }
      expect((await failure(device.read(512, 1024))).failed).to.deep.equal([{ sector: 1, sectors: 2 }]);
    });

    for (const [features, read, write, after] of [
      [' 1 error_reads', 'rejected', 'fulfilled', 2],
      [' 1 error_writes', 'fulfilled', 'rejected', 1],
      [' 1 drop_writes', 'fulfilled', 'fulfilled', 1],
    ] as const)
      it(`with${features}`, async () => {
        const { device, clock } = await flakey(features);
        await device.write(0, ones);
        clock.pass(2000);
        const outcomes = await Promise.allSettled([device.read(0, 512), device.write(0, Buffer.alloc(512, 2))]);
        expect(outcomes.map(({ status }) => status)).to.deep.equal([read, write]);
        clock.pass(1000);
        expect((await device.read(0, 1))[0]).to.equal(after);
      });

    it('corrupts a byte of what is read, or of what is written but not in the writer’s buffer', async () => {
      const reads = await flakey(' 5 corrupt_bio_byte 3 r 9 0');
      reads.clock.pass(2000);
      expect([...(await reads.device.read(0, 512)).subarray(0, 4)]).to.deep.equal([0, 0, 9, 0]);
      reads.clock.pass(1000);
      expect([...(await reads.device.read(0, 512)).subarray(0, 4)]).to.deep.equal([0, 0, 0, 0]);

      const writes = await flakey(' 5 corrupt_bio_byte 513 w 9 0');
      writes.clock.pass(2000);
      const bytes = Buffer.alloc(1024, 1);
      await writes.device.write(0, bytes);
      await writes.device.write(1024, ones);
      expect(bytes.equals(Buffer.alloc(1024, 1))).to.equal(true);
      const stored = await writes.device.read(0, 1536);
      expect([...stored].flatMap((byte, at) => (byte === 1 ? [] : [[at, byte]]))).to.deep.equal([[512, 9]]);
    });

    it('corrupts at random with certainty one', async () => {
      const { device, clock } = await flakey(' 2 random_read_corrupt 1000000000');
      clock.pass(2000);
      const reads = await Promise.all(Array.from({ length: 64 }, () => device.read(0, 512)));
      const changed = reads.map((bytes) => bytes.filter((byte) => byte !== 0).length);
      expect(Math.max(...changed)).to.equal(1);
    });
  });
});
