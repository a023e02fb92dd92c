import { closeSync, mkdirSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { expect } from 'chai';
import type { Device } from '../../lib/dm/device.js';
import { openTable } from '../../lib/dm/open-table.js';
import { type ImageShape, VerityTestImage } from '../support/verity-image.js';
import { verityAccepted, verityAcceptedLater, verityRefused } from '../support/verity-lines.js';
import { DmGuest, ourRefusal } from './dm-guest.js';

const isLater = !release().startsWith('6.1.');

/** An image, what is broken in it, and the options under which both read it. */
interface Case {
  shape: ImageShape;
  spoilt?: [area: 'data' | 'hash', block: number][];
  options?: string[];
  fec?: false;
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

describe("dm-verity: the kernel's device and ours", function () {
  this.timeout(600_000);
  let folder = '';
  let guest: DmGuest;
  let nodes = new Map<string, string>();
  const images: { image: VerityTestImage; line: string }[] = [];
  let lines: { image: VerityTestImage; at: (words: string) => string };

  before(async () => {
    folder = mkdtempSync('/dev/shm/dmalg-verity-');
    guest = new DmGuest('dm-verity');
    for (const [index, { shape, spoilt = [], options, fec }] of cases.entries()) {
      mkdirSync(`${folder}/${index}`);
      const image = await VerityTestImage.make(`${folder}/${index}`, shape);
      for (const [area, block] of spoilt) image.spoil(area, block);
      const hasFec = shape.roots !== undefined && fec !== false;
      images.push({
        image,
        line: image.line(options, {
          data: guest.loop(image.path('data')),
          hash: guest.loop(image.path('hash')),
          fec: hasFec && guest.loop(image.path('fec')),
        }),
      });
    }
    nodes = guest.create(images.map(({ line: table }, index) => ({ name: `verity${index}`, table, readOnly: true })));
    mkdirSync(`${folder}/lines`);
    const image = await VerityTestImage.make(`${folder}/lines`, { blocks: 300, roots: 2 });
    const [data, hash, fec] = (['data', 'hash', 'fec'] as const).map((name) => guest.loop(image.path(name)));
    const root = image.rootHash.toString('hex');
    lines = {
      image,
      at: (words) =>
        words.replaceAll('DATA', data!).replaceAll('HASH', hash!).replaceAll('FEC', fec!).replaceAll('ROOT', root),
    };
  });
  after(() => {
    guest?.close();
    if (folder) rmSync(folder, { recursive: true });
  });

  for (const [index, each] of cases.entries())
    it(`the same bytes, the same blocks fail, the same status: ${JSON.stringify(each)}`, async () => {
      const { image, line } = images[index]!;
      const size = image.shape.dataBlockSize;
      await using ours = await openTable(line, { readOnly: true, provider: 'kernel' });
      const theirs = openSync(nodes.get(`verity${index}`)!, 'r');
      try {
        for (let block = 0; block < image.shape.blocks; block++) {
          const [kernels, own] = [readBlock(theirs, block, size), await readOurs(ours, block, size)];
          expect(own?.toString('base64'), `block ${block}`).to.equal(kernels?.toString('base64'));
        }
      } finally {
        closeSync(theirs);
      }
      expect(ours.table()).to.equal(guest.print('table').get(`verity${index}`));
      expect(ours.status()).to.equal(guest.print('status').get(`verity${index}`));
    });

  for (const words of [...verityAccepted, ...(isLater ? verityAcceptedLater : [])])
    it(`accepted, and printed the same: ${words}`, async () => {
      const table = lines.at(words);
      guest.create([{ name: 'line', table, readOnly: true }]);
      try {
        await using ours = await openTable(table, { readOnly: true, provider: 'kernel' });
        expect(ours.table()).to.equal(guest.print('table').get('line'));
        expect(ours.status()).to.equal(guest.print('status').get('line'));
      } finally {
        guest.remove('line');
      }
    });

  for (const { words, reason } of verityRefused)
    it(`refused in the same words: ${words}`, async () => {
      const table = lines.at(words);
      expect(guest.refusal(table, '--readonly')).to.equal(reason);
      expect(await ourRefusal(table, true)).to.equal(reason);
    });
});

/** A block, or nothing where reading it fails. */
function readBlock(fd: number, block: number, size: number): Buffer | undefined {
  const bytes = Buffer.alloc(size);
  try {
    expect(readSync(fd, bytes, 0, size, block * size)).to.equal(size);
    return bytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return undefined;
    throw error;
  }
}

async function readOurs(device: Device, block: number, size: number): Promise<Buffer | undefined> {
  try {
    return Buffer.from(await device.read(block * size, size));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EIO') return undefined;
    throw error;
  }
}
