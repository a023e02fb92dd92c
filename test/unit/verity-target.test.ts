import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { Bio } from '../../lib/dm/bio.js';
import type { Device } from '../../lib/dm/device.js';
import type { DeviceError } from '../../lib/dm/device-error.js';
import { type OpenTableOptions, openTable } from '../../lib/dm/open-table.js';
import { RamDevice } from '../../lib/dm/ram-device.js';
import { TableError } from '../../lib/dm/table-error.js';
import type { BlockDevice, TargetEvent } from '../../lib/dm/target.js';
import { ManualEngine, permutations, seeded } from '../support/manual-engine.js';
import { type ImageShape, VerityTestImage } from '../support/verity-image.js';
import { verityAccepted, verityRefused } from '../support/verity-lines.js';

/** RAM that notes what is read, fails where it is told to, and may lie the first time. */
class WatchedDevice implements BlockDevice {
  readonly sectors: number;
  readonly blockSize = 512;
  readonly discards = false;
  readonly reads: string[] = [];
  readonly broken = new Set<number>();
  lies = 0;
  readonly #ram: RamDevice;

  constructor(bytes: Buffer) {
    this.#ram = new RamDevice(Math.ceil(bytes.length / 512) * 512);
    this.sectors = this.#ram.sectors;
    this.#ram.submit(new Bio({ op: 'write', sector: 0, bytes }, () => {}));
  }
  submit(bio: Bio): void {
    this.reads.push(`${bio.sector}+${bio.sectors}`);
    const failed = [...this.broken]
      .filter((sector) => sector >= bio.sector && sector < bio.sector + bio.sectors)
      .map((sector) => ({ first: sector - bio.sector, count: 1 }));
    const below = new Bio({ op: bio.op, sector: bio.sector, bytes: bio.bytes }, () => {
      if (this.lies-- > 0) bio.bytes[0]! ^= 1;
      bio.end(failed.length ? { code: 'EIO', failed } : null);
    });
    this.#ram.submit(below);
  }
  describe(): string {
    return 'watched';
  }
  async close(): Promise<void> {}
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('the verity target', function () {
  this.timeout(600_000);
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-verity-target-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const make = (shape: ImageShape) => VerityTestImage.make(folder, shape);
  const events: TargetEvent[] = [];
  function open(line: string, more: OpenTableOptions = {}): Promise<Device> {
    events.length = 0;
    return openTable(line, { readOnly: true, provider: 'library', onEvent: (event) => events.push(event), ...more });
  }
  /** The sectors on which a read fails. */
  async function failing(device: Device, offset = 0, length = device.size - offset): Promise<string[]> {
    try {
      await device.read(offset, length);
      return [];
    } catch (error) {
      return (error as DeviceError).failed.map(({ sector, sectors }) => `${sector}+${sectors}`);
    }
  }
  const told = () => events.map(({ kind, area, block, action }) => `${kind} ${area} ${block} ${action}`);
  const watched = (image: VerityTestImage, name: 'data' | 'hash' | 'fec') =>
    new WatchedDevice(readFileSync(image.path(name)));

  const shapes: ImageShape[] = [
    { blocks: 1 },
    { blocks: 2, salt: '' },
    { blocks: 129 },
    { blocks: 700, hashType: 0 },
    { blocks: 700, hashType: 0, hash: 'sha1' },
    { blocks: 300, hash: 'sha1' },
    { blocks: 300, hash: 'sha512', roots: 2 },
    { blocks: 1000, dataBlockSize: 512, hashBlockSize: 512, roots: 3 },
    { blocks: 1000, dataBlockSize: 512, hashBlockSize: 4096 },
    { blocks: 100, dataBlockSize: 4096, hashBlockSize: 1024, salt: 'ab'.repeat(256) },
  ];
  for (const shape of shapes)
    for (const options of [[], ['ignore_zero_blocks', 'check_at_most_once', 'try_verify_in_tasklet']])
      it(`gives the data: ${JSON.stringify(shape)} ${options.join(' ')}`, async () => {
        const image = await make({ ...shape, zeroes: shape.blocks > 20 ? [0, 7, 8, 19] : [] });
        await using device = await open(image.line(options));
        expect(image.bytes.equals(await device.read(0, device.size))).to.equal(true);
        const random = seeded(7);
        for (let turns = 0; turns < 40; turns++) {
          const offset = Math.floor(random() * device.size);
          const length = Math.floor(random() * Math.min(20_000, device.size - offset));
          const read = await device.read(offset, length);
          expect(image.bytes.subarray(offset, offset + length).equals(read), `${offset} ${length}`).to.equal(true);
        }
        expect(device.status().endsWith(` verity V ${shape.roots ? 0 : '-'}`)).to.equal(true);
        expect(device.table()).to.equal(image.line(options));
        expect(events).to.deep.equal([]);
        let refusal = '';
        await device.write(0, Buffer.alloc(4096)).catch((error) => {
          refusal = error.message;
        });
        expect(refusal).to.match(/verity is read-only$/);
      });

  const modes = [
    { option: '', action: 'fail' },
    { option: 'ignore_corruption', action: 'none' },
    { option: 'restart_on_corruption', action: 'restart' },
    { option: 'panic_on_corruption', action: 'panic' },
  ];
  for (const { option, action } of modes) {
    const options = option ? [option] : [];
    it(`a bad data block, ${option || 'no mode'}: exactly it fails, or none`, async () => {
      const image = await make({ blocks: 300 });
      image.spoil('data', 5);
      image.spoil('data', 299);
      await using device = await open(image.line(options));
      const fails = action === 'none' ? [] : ['40+8', '2392+8'];
      expect(await failing(device)).to.deep.equal(fails);
      // Two bios, in whatever order.
      expect(told().sort()).to.deep.equal([`corrupted data 299 ${action}`, `corrupted data 5 ${action}`]);
      expect(device.status()).to.match(/ verity C -$/);
      if (action === 'none')
        expect(readFileSync(image.path('data')).equals(await device.read(0, device.size))).to.equal(true);
      else {
        const into = Buffer.alloc(4096, 1);
        await device.read(5 * 4096, into).catch(() => {});
        expect(into.equals(Buffer.alloc(4096)), 'what is not to be trusted does not reach the reader').to.equal(true);
      }
    });

    it(`a bad hash block, ${option || 'no mode'}: what lies below it fails, or is used as it is`, async () => {
      const image = await make({ blocks: 300 });
      image.spoil('hash', 2); // the second one of level 0: data blocks 128 to 255
      await using device = await open(image.line(options));
      expect(await failing(device)).to.deep.equal(action === 'none' ? [] : ['1024+1024']);
      // The first digest was spoilt with the block: where it is used, the first data block is bad, too.
      const expected = [`corrupted hash 3 ${action}`];
      expect(told().slice(0, 1)).to.deep.equal(expected);
      if (action === 'none') expect(told()).to.include('corrupted data 128 none');
      expect(device.status()).to.match(/ verity C -$/);
    });
  }

  it('tells of a hundred bad blocks, and counts on', async () => {
    const image = await make({ blocks: 200 });
    for (let block = 0; block < 150; block++) image.spoil('data', block, 1);
    await using device = await open(image.line());
    expect(await failing(device)).to.deep.equal(['0+1200']);
    expect(events).to.have.length(100);
  });

  it('corrects data and hash blocks with FEC, and stays V', async () => {
    for (const roots of [2, 24]) {
      const image = await make({ blocks: 600, roots });
      image.spoil('data', 0, 4096);
      // Each in a set of its own.
      image.spoil('data', 301, 4096);
      image.spoil('hash', 2);
      await using device = await open(image.line());
      expect(image.bytes.equals(await device.read(0, device.size))).to.equal(true);
      expect(told().sort()).to.deep.equal([
        'corrected data 0 none',
        'corrected data 301 none',
        'corrected hash 3 none',
      ]);
      expect(device.status()).to.match(/ verity V 3$/);
    }
  });

  it('what FEC cannot correct fails, and what it can does not', async () => {
    const image = await make({ blocks: 600, roots: 2 });
    const rounds = Math.ceil(image.fecBlocks / 253);
    // Three blocks of one set are more than two roots correct; block 1 is in another one.
    for (const block of [0, rounds, 2 * rounds, 1]) image.spoil('data', block, 4096);
    await using device = await open(image.line());
    expect(await failing(device)).to.deep.equal([0, rounds, 2 * rounds].map((block) => `${block * 8}+8`));
    expect(told()).to.include('corrected data 1 none');
    expect(device.status()).to.match(/ verity C 1$/);
  });

  it('blocks that cannot be read: exactly they fail; with FEC none; the mode of errors is the owner’s', async () => {
    const image = await make({ blocks: 300, roots: 2 });
    const data = watched(image, 'data');
    data.broken.add(41).add(47).add(800);
    const names = { data: 'data', hash: image.path('hash') };
    for (const [option, action] of [
      ['', 'fail'],
      ['restart_on_error', 'restart'],
      ['panic_on_error', 'panic'],
    ]) {
      const line = image.line(option ? [option] : [], { ...names, fec: false });
      await using device = await open(line, { devices: { data } });
      expect(await failing(device)).to.deep.equal(['40+8', '800+8']);
      expect(told()).to.deep.equal([`unreadable data 5 ${action}`, `unreadable data 100 ${action}`]);
      expect(device.status(), 'no block was corrupted').to.match(/ verity V -$/);
    }
    await using mended = await open(image.line([], names), { devices: { data } });
    expect(image.bytes.equals(await mended.read(0, mended.size))).to.equal(true);
    expect(told()).to.deep.equal(['corrected data 5 none', 'corrected data 100 none']);
  });

  it('a hash block that cannot be read: the error from below, or FEC', async () => {
    const image = await make({ blocks: 300, roots: 2 });
    const hash = watched(image, 'hash');
    hash.broken.add(16); // the first block of level 0
    const names = { data: image.path('data'), hash: 'hash' };
    await using device = await open(image.line([], { ...names, fec: false }), { devices: { hash } });
    expect(await failing(device)).to.deep.equal(['0+1024']);
    expect(told()).to.deep.equal(['unreadable hash 2 fail']);
    expect(device.status()).to.match(/ verity V -$/);
    await using mended = await open(image.line([], names), { devices: { hash } });
    expect(image.bytes.equals(await mended.read(0, mended.size))).to.equal(true);
    expect(told()).to.deep.equal(['corrected hash 2 none']);
  });

  it('reads a block again before it says that it is bad', async () => {
    const image = await make({ blocks: 10 });
    const data = watched(image, 'data');
    data.lies = 1;
    await using device = await open(image.line([], { data: 'data' }), { devices: { data } });
    expect(image.bytes.equals(await device.read(0, device.size))).to.equal(true);
    expect(data.reads).to.deep.equal(['0+80', '0+8']);
    expect([told(), device.status()]).to.deep.equal([[], '0 80 verity V -']);
  });

  it('ignore_zero_blocks: blocks of zeroes are not read, whatever is there', async () => {
    const image = await make({ blocks: 20, zeroes: [0, 1, 5, 19] });
    image.spoil('data', 5);
    const data = watched(image, 'data');
    await using device = await open(image.line(['ignore_zero_blocks'], { data: 'data' }), { devices: { data } });
    expect(image.bytes.equals(await device.read(0, device.size))).to.equal(true);
    expect(data.reads).to.deep.equal(['16+24', '48+104']);
    expect(told()).to.deep.equal([]);
  });

  it('ignore_zero_blocks: FEC knows what blocks of zeroes hold, whatever is there', async () => {
    const image = await make({ blocks: 20, zeroes: [0, 1], roots: 2 });
    for (const block of [0, 1, 5]) image.spoil('data', block, 4096);
    await using device = await open(image.line(['ignore_zero_blocks']));
    expect(image.bytes.equals(await device.read(0, device.size))).to.equal(true);
    expect(told()).to.deep.equal(['corrected data 5 none']);
    await using other = await open(image.line());
    expect(await failing(other)).to.deep.equal(['0+16', '40+8']);
  });

  it('check_at_most_once: a block that was good once is not looked at again; one that was bad is', async () => {
    const image = await make({ blocks: 20 });
    image.spoil('data', 3);
    const device = await open(image.line(['check_at_most_once']));
    expect(await failing(device)).to.deep.equal(['24+8']);
    for (let block = 0; block < 20; block++) if (block !== 3) image.spoil('data', block);
    const hash = readFileSync(image.path('hash'));
    writeFileSync(image.path('hash'), Buffer.alloc(hash.length));
    expect(await failing(device, 4 * 4096)).to.deep.equal([]);
    expect(await failing(device, 3 * 4096, 4096)).to.deep.equal(['24+8']);
    await device.close();
  });

  it('check_at_most_once: a block that FEC corrected has not been good', async () => {
    const image = await make({ blocks: 20, roots: 2 });
    image.spoil('data', 3);
    await using device = await open(image.line(['check_at_most_once']));
    for (let times = 1; times <= 3; times++) {
      expect(image.bytes.equals(await device.read(0, device.size))).to.equal(true);
      expect(device.status()).to.equal(`0 160 verity V ${times}`);
    }
  });

  it('ignore_corruption: a hash block that is used though it is bad is read again the next time', async () => {
    const image = await make({ blocks: 300 });
    const right = readFileSync(image.path('hash'));
    image.spoil('hash', 2);
    await using device = await open(image.line(['ignore_corruption']));
    await device.read(128 * 4096, 4096);
    expect(told()[0]).to.equal('corrupted hash 3 none');
    writeFileSync(image.path('hash'), right);
    events.length = 0;
    await device.read(128 * 4096, 4096);
    expect(told()).to.deep.equal([]);
  });

  it('does not correct with parity that it could not read, even where it has read it before', async () => {
    const image = await make({ blocks: 20, roots: 2 });
    image.spoil('data', 3);
    const fec = watched(image, 'fec');
    const line = image.line([], { data: image.path('data'), hash: image.path('hash'), fec: 'fec' });
    await using device = await open(line, { devices: { fec } });
    expect(await failing(device)).to.deep.equal([]);
    fec.broken.add(0);
    expect(await failing(device)).to.deep.equal(['24+8']);
    expect(device.status()).to.equal('0 160 verity C 1');
  });

  it('an engine that is busy is given nothing until it has room', async () => {
    const image = await make({ blocks: 2000, dataBlockSize: 512, hashBlockSize: 4096 });
    class BusyEngine extends ManualEngine {
      busy = false;
      early = 0;
      pieces = 0;
      override submit(...work: Parameters<ManualEngine['submit']>) {
        super.submit(...work);
        setImmediate(() => this.complete(0));
        // Hash blocks are looked up meanwhile, one unit each.
        if ((work[0] as unknown as { status: Int32Array }).status.length === 1) return 'in progress';
        this.pieces++;
        if (this.busy) this.early++;
        this.busy = true;
        return 'busy';
      }
      override async room() {
        await turn();
        this.busy = false;
      }
    }
    const engine = new BusyEngine();
    await using device = await open(image.line(), { engine, reserve: 16 });
    expect(await failing(device, 0, 512 * 512)).to.deep.equal([]);
    expect([engine.pieces, engine.early]).to.deep.equal([4, 0]);
  });

  it('suspended and resumed, it trusts no hash block that it has seen before', async () => {
    const image = await make({ blocks: 300 });
    await using device = await open(image.line());
    await device.read(0, 4096);
    image.spoil('hash', 1);
    expect(await failing(device, 0, 4096)).to.deep.equal([]);
    await device.suspend();
    await device.resume();
    expect(await failing(device, 0, 4096)).to.deep.equal(['0+8']);
  });

  for (const order of permutations(4))
    it(`a bio of four requests that end in the order ${order.join('')}`, async () => {
      const image = await make({ blocks: 2000, dataBlockSize: 512, hashBlockSize: 4096 });
      image.spoil('data', 200);
      const engine = new ManualEngine();
      const device = await open(image.line(), { engine, reserve: 1 });
      const before = device.memoryUsage();
      const read = failing(device, 0, 512 * 512);
      const others = () => engine.flying.filter(({ work }) => !works.includes(work));
      const another = async () => {
        while (others().length === 0) await turn();
        return others()[0]!.work as unknown as { status: Int32Array };
      };
      // Hash blocks, one unit each, come before the requests that need them.
      const works: unknown[] = [];
      while (works.length < 4) {
        const work = await another();
        if (work.status.length > 1) works.push(work);
        else engine.complete(engine.flying.findIndex((each) => (each.work as unknown) === work));
      }
      const during = device.memoryUsage();
      for (const index of order) engine.complete(engine.flying.findIndex(({ work }) => work === works[index]));
      // The bad block is hashed again.
      await another();
      engine.complete(0);
      expect(await read).to.deep.equal(['200+1']);
      const request = 128 * (32 + 4);
      expect(during.inUse - before.inUse).to.equal(4 * request + 5 * 4096);
      expect(before.reserved).to.equal(2 * request + 512);
      await device.close();
    });

  it('memory of 59 devices: what each mempool reserves, and the hash blocks that each has read', async () => {
    const image = await make({ blocks: 300 });
    const request = 128 * (32 + 4);
    for (const reserve of [1, 16]) {
      const devices = await Promise.all(Array.from({ length: 59 }, () => open(image.line(), { reserve })));
      const sum = (what: 'reserved' | 'inUse') => devices.reduce((all, device) => all + device.memoryUsage()[what], 0);
      expect(sum('reserved')).to.equal(59 * (2 * reserve * request + 4096));
      expect(sum('inUse')).to.equal(0);
      await Promise.all(devices.map((device) => device.read(0, device.size)));
      expect(sum('inUse')).to.equal(59 * 4 * 4096);
      await Promise.all(devices.map((device) => device.close()));
    }
  });

  it('stacks: verity on linear on verity, under load', async () => {
    const image = await make({ blocks: 300, roots: 2 });
    image.spoil('data', 17, 4096);
    await using lower = await open(image.line());
    await using middle = await openTable(`0 2400 linear lower 0`, { readOnly: true, devices: { lower } });
    await using upper = await openTable(image.line([], { data: 'middle', fec: false }), {
      readOnly: true,
      provider: 'library',
      devices: { middle },
      reserve: 1,
    });
    const reads = Array.from({ length: 64 }, (_, index) => upper.read((index * 4 * 4096) % upper.size, 16384));
    for (const [index, read] of (await Promise.all(reads)).entries()) {
      const at = (index * 4 * 4096) % upper.size;
      expect(image.bytes.subarray(at, at + 16384).equals(read)).to.equal(true);
    }
    expect(told()).to.include('corrected data 17 none');
  });

  describe('table lines', () => {
    const lineOf = (image: VerityTestImage, words: string) =>
      words
        .replaceAll('DATA', image.path('data'))
        .replaceAll('HASH', image.path('hash'))
        .replaceAll('FEC', image.path('fec'))
        .replaceAll('ROOT', image.rootHash.toString('hex'));
    for (const words of verityAccepted)
      it(`accepted, and printed so that it opens again: ${words}`, async () => {
        const image = await make({ blocks: 300, roots: 2 });
        await using device = await open(lineOf(image, words));
        await using again = await open(device.table());
        expect(again.table()).to.equal(device.table());
      });
    for (const { words, reason } of verityRefused)
      it(`refused: ${words}`, async () => {
        const image = await make({ blocks: 300, roots: 2 });
        let said = '';
        try {
          await (await open(lineOf(image, words))).close();
        } catch (error) {
          if (!(error instanceof TableError)) throw error;
          said = error.reason;
        }
        expect(said).to.equal(reason);
      });
    it('with changed words: a TableError, or a device that holds little and reads or says EIO', async () => {
      const image = await make({ blocks: 300, roots: 2 });
      const words = lineOf(image, verityAccepted.find((line) => line.includes('ignore_corruption use_fec'))!).split(
        ' ',
      );
      const numbers = [
        '',
        '0',
        '1',
        '-1',
        '512',
        '4294967296',
        '9007199254740993',
        '18446744073709551615',
        '1'.repeat(40),
      ];
      const word = fc.oneof(
        fc.constantFrom(...numbers, '-', '00', 'x', 'ram:4096', '/dev/null', '.', ...words),
        fc.nat({ max: 5000 }).map(String),
        fc.string({ maxLength: 8 }),
      );
      const change = fc.record({ at: fc.nat({ max: words.length - 1 }), removed: fc.nat({ max: 2 }), word });
      let opened = 0;
      const property = fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const changed = [...words];
        for (const { at, removed, word } of changes) changed.splice(at, removed, word);
        let device: Device;
        try {
          device = await open(changed.join(' '));
        } catch (error) {
          if (error instanceof TableError) return;
          throw error;
        }
        opened++;
        try {
          const { reserved, inUse } = device.memoryUsage();
          expect(reserved + inUse).to.be.below(2 ** 24);
          await device.read(0, Math.min(device.size, 8192)).catch((error: DeviceError) => {
            if (error.code !== 'EIO') throw error;
          });
        } finally {
          await device.close();
        }
      });
      await fc.assert(property, { seed: 4, numRuns: 3000 });
      expect(opened).to.be.above(40);
    });
    it('refused where it is not read-only', async () => {
      const image = await make({ blocks: 3 });
      let said = '';
      await open(image.line(), { readOnly: false }).catch((error) => {
        said = error.reason;
      });
      expect(said).to.equal('Device must be readonly');
    });
  });
});
