import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { release } from 'node:os';
import { expect } from 'chai';
import type { Device } from '../../lib/dm/device.js';
import { openTable } from '../../lib/dm/open-table.js';
import { type ImageShape, VerityTestImage } from '../support/verity-image.js';
import { verityAccepted, verityAcceptedLater, verityRefused } from '../support/verity-lines.js';
import { DmGuest, type Mapping, ourRefusal } from './dm-guest.js';

const isLater = !release().startsWith('6.1.');

/** An image, what is broken in it, and the options under which both read it. */
interface Case {
  shape: ImageShape;
  spoilt?: [area: 'data' | 'hash', block: number][];
  options?: string[];
  fec?: false;
  /**
   * The kernel's device says C though every block has been mended: to mend a hash block it looks up data blocks below that very block, which
   * it wants to mend for that, until the recursion is too deep (dm-verity-fec.c: fec_read_bufs). Ours does not, and says V.
   */
  onlyKernelSaysCorrupted?: true;
}

const fecShape: ImageShape = { blocks: 300, roots: 2, zeroes: [3, 4] };
const cases: Case[] = [
  { shape: { blocks: 1 } },
  { shape: { blocks: 129, salt: '' } },
  { shape: { blocks: 200, hashType: 0, hash: 'sha1' } },
  { shape: { blocks: 300, hash: 'sha512' } },
  { shape: { blocks: 600, dataBlockSize: 1024, hashBlockSize: 1024, roots: 24 }, spoilt: [['data', 100]] },
  { shape: fecShape },
  {
    shape: fecShape,
    spoilt: [
      ['data', 7],
      ['hash', 2],
    ],
    onlyKernelSaysCorrupted: true,
  },
  {
    shape: fecShape,
    options: ['ignore_zero_blocks', 'check_at_most_once'],
    spoilt: [
      ['data', 4],
      ['data', 9],
    ],
  },
  {
    shape: fecShape,
    spoilt: [
      ['data', 0],
      ['data', 2],
      ['data', 4],
      ['data', 101],
    ],
  },
  {
    shape: fecShape,
    fec: false,
    spoilt: [
      ['data', 7],
      ['data', 299],
    ],
  },
  {
    shape: fecShape,
    fec: false,
    options: ['ignore_corruption'],
    spoilt: [
      ['data', 7],
      ['data', 299],
    ],
  },
  { shape: fecShape, fec: false, spoilt: [['hash', 2]] },
  { shape: fecShape, fec: false, options: ['ignore_corruption'], spoilt: [['hash', 2]] },
  {
    shape: fecShape,
    fec: false,
    options: ['ignore_zero_blocks'],
    spoilt: [
      ['data', 3],
      ['data', 5],
    ],
  },
];

/** Areas of images, one behind the other in one file: under emulation, starting programs takes most of the time, and a loop device takes one. */
class Areas {
  readonly #bytes: Buffer[] = [];
  #sectors = 0;
  readonly #at: { name: string; start: number; sectors: number }[] = [];

  add(name: string, bytes: Buffer): void {
    this.#at.push({ name, start: this.#sectors, sectors: bytes.length / 512 });
    this.#bytes.push(bytes);
    this.#sectors += bytes.length / 512;
  }

  write(file: string): void {
    writeFileSync(file, Buffer.concat(this.#bytes));
  }

  /** Each area as a device of its own. */
  mappings(below: string): Mapping[] {
    return this.#at.map(({ name, start, sectors }) => ({ name, table: `0 ${sectors} linear ${below} ${start}` }));
  }
}

const areaNames = ['data', 'hash', 'fec'] as const;

describe("dm-verity: the kernel's device and ours", function () {
  this.timeout(600_000);
  let folder = '';
  let guest: DmGuest;
  let nodes = new Map<string, string>();
  const images: { image: VerityTestImage; line: string }[] = [];
  let root = '';

  before(async () => {
    folder = mkdtempSync('/dev/shm/dmalg-verity-');
    guest = new DmGuest('dm-verity');
    const areas = new Areas();
    const add = (prefix: string, image: VerityTestImage) => {
      for (const name of areaNames)
        if (existsSync(image.path(name))) areas.add(`${prefix}${name}`, readFileSync(image.path(name)));
    };
    for (const [index, { shape, spoilt = [] }] of cases.entries()) {
      mkdirSync(`${folder}/${index}`);
      const image = await VerityTestImage.make(`${folder}/${index}`, shape);
      if (shape === fecShape && !root) {
        root = image.rootHash.toString('hex');
        add('lines-', image);
      }
      for (const [area, block] of spoilt) image.spoil(area, block);
      add(`${index}-`, image);
      images.push({ image, line: '' });
    }
    areas.write(`${folder}/areas`);
    nodes = guest.create(areas.mappings(guest.loop(`${folder}/areas`)));
    for (const [index, { shape, options, fec }] of cases.entries()) {
      const [data, hash, fecDevice] = areaNames.map((name) => nodes.get(`${index}-${name}`));
      const devices = { data: data!, hash: hash!, fec: shape.roots && fec !== false ? fecDevice! : (false as const) };
      images[index]!.line = images[index]!.image.line(options, devices);
    }
    nodes = guest.create(images.map(({ line: table }, index) => ({ name: `verity${index}`, table, readOnly: true })));
  });
  after(() => {
    guest?.close();
    if (folder) rmSync(folder, { recursive: true });
  });

  const atDevices = (words: string) =>
    ['DATA', 'HASH', 'FEC']
      .reduce((line, name) => line.replaceAll(name, nodes.get(`lines-${name.toLowerCase()}`)!), words)
      .replaceAll('ROOT', root);

  for (const [index, each] of cases.entries())
    it(`the same bytes, the same blocks fail, the same status: ${JSON.stringify(each)}`, async () => {
      const { image, line } = images[index]!;
      const size = image.shape.dataBlockSize;
      await using ours = await openTable(line, { readOnly: true, provider: 'kernel' });
      const theirs = openSync(nodes.get(`verity${index}`)!, 'r');
      try {
        // Many at a time, and one by one where that fails.
        for (let first = 0; first < image.shape.blocks; first += 32) {
          const count = Math.min(32, image.shape.blocks - first);
          const all = await Promise.all([
            readKernels(theirs, first * size, count * size),
            readOurs(ours, first * size, count * size),
          ]);
          if (all.every((read) => read)) {
            expect(all[1]!.equals(all[0]!), `blocks ${first} to ${first + count}`).to.equal(true);
            continue;
          }
          for (let block = first; block < first + count; block++) {
            const kernels = readKernels(theirs, block * size, size)?.toString('base64');
            const own = (await readOurs(ours, block * size, size))?.toString('base64');
            expect(own, `block ${block}`).to.equal(kernels);
          }
        }
      } finally {
        closeSync(theirs);
      }
      expect(ours.table()).to.equal(guest.print('table').get(`verity${index}`));
      const status = guest.print('status').get(`verity${index}`)!;
      expect(asBefore(ours.status())).to.equal(each.onlyKernelSaysCorrupted ? status.replace(/C$/, 'V') : status);
      expect(status.endsWith('C') || !each.onlyKernelSaysCorrupted).to.equal(true);
    });

  for (const words of [...verityAccepted, ...(isLater ? verityAcceptedLater : [])])
    it(`accepted, and printed the same: ${words}`, async () => {
      const table = atDevices(words);
      guest.create([{ name: 'line', table, readOnly: true }]);
      try {
        await using ours = await openTable(table, { readOnly: true, provider: 'kernel' });
        expect(ours.table()).to.equal(guest.print('table').get('line'));
        expect(asBefore(ours.status())).to.equal(guest.print('status').get('line'));
      } finally {
        guest.remove('line');
      }
    });

  for (const { words, reason } of verityRefused)
    it(`refused in the same words: ${words}`, async () => {
      const table = atDevices(words);
      expect(guest.refusal(table, '--readonly')).to.equal(reason);
      expect(await ourRefusal(table, true)).to.equal(reason);
    });
});

/** Bytes, or nothing where reading them fails. */
function readKernels(fd: number, at: number, length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  try {
    // A read that reaches a bad block ends before it.
    return readSync(fd, bytes, 0, length, at) === length ? bytes : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return undefined;
    throw error;
  }
}

async function readOurs(device: Device, at: number, length: number): Promise<Buffer | undefined> {
  try {
    return Buffer.from(await device.read(at, length));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return undefined;
    throw error;
  }
}

/** A status as kernels before 6.19 print it: without the number of corrections. */
function asBefore(status: string): string {
  return status.replace(/ (-|\d+)$/, '');
}
