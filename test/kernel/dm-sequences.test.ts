import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { expect } from 'chai';
import type { Device } from '../../lib/dm/device.js';
import { openTable } from '../../lib/dm/open-table.js';
import { randomBytes } from '../support/random-bytes.js';
import { DmGuest } from './dm-guest.js';
import { type Step, sequence } from './dm-sequence.js';

/** Another sequence: DMALG_TEST_SEED=<number>. */
const seed = Number(process.env.DMALG_TEST_SEED ?? 1);

/** A device that goes through a sequence. In its lines: KEYn is a key of n bytes, DEV the backing device, AT the first sector there. */
interface Volume {
  table: string;
  /** A device that DEV then is, and AT is 0. */
  below?: string;
  provider?: 'kernel' | 'library';
  /** Bytes that operations are multiples of; default 512. 1: through the kernel's page cache, which is what has partial sectors. */
  unit?: 1 | 512 | 4096;
  discards?: boolean;
  /** Bytes at the start that are zeroes whatever is written. */
  zeroes?: number;
}

const sectors = 1024;
const size = sectors * 512;
const xts = 'crypt aes-xts-plain64 KEY64 0 DEV AT';
const xts4096 = `0 1024 ${xts} 1 sector_size:4096`;

/** A new row is a new test. */
const volumes: Volume[] = [
  { table: `0 1024 ${xts}`, provider: 'library' },
  { table: `0 1024 ${xts}`, unit: 1 },
  { table: xts4096, unit: 4096 },
  { table: xts4096, unit: 1, provider: 'library' },
  { table: `0 1024 ${xts} 2 sector_size:4096 iv_large_sectors`, unit: 4096, provider: 'library' },
  { table: `0 1024 ${xts} 1 allow_discards`, discards: true, provider: 'library' },
  { table: `0 1024 ${xts} 2 allow_discards sector_size:4096`, unit: 4096, discards: true },
  { table: `0 1024 ${xts} 1 no_read_workqueue` },
  { table: `0 1024 ${xts} 1 no_write_workqueue`, provider: 'library' },
  { table: `0 1024 ${xts} 3 no_read_workqueue no_write_workqueue sector_size:4096`, unit: 4096 },
  { table: `0 1024 ${xts} 1 same_cpu_crypt`, provider: 'library' },
  { table: `0 1024 ${xts} 2 submit_from_crypt_cpus same_cpu_crypt`, unit: 1, provider: 'library' },
  { table: '0 1024 crypt aes-cbc-essiv:sha256 KEY32 7 DEV AT', provider: 'library' },
  { table: '0 1024 crypt aes:64-cbc-lmk KEY1040 3 DEV AT', unit: 1 },
  { table: '0 1024 crypt aes-cbc-tcw KEY64 0 DEV AT', provider: 'library' },
  { table: '0 1024 crypt aes-cbc-elephant KEY64 16 DEV AT 2 sector_size:4096 iv_large_sectors', unit: 4096 },
  { table: '0 1024 crypt aes:2-xts-plain64 KEY128 5 DEV AT', provider: 'library' },
  { table: '0 1024 crypt capi:ecb(cipher_null) - 0 DEV AT', provider: 'library' },
  { below: '0 1024 linear DEV AT', table: `0 1024 ${xts}` },
  {
    below: '0 1024 crypt aes-cbc-plain64 KEY32 0 DEV AT 1 allow_discards',
    table: '0 500 linear DEV 524\n500 524 linear DEV 0',
    provider: 'library',
    discards: true,
  },
  {
    table: '0 300 crypt aes-xts-plain64 KEY32 0 DEV AT\n300 724 crypt aes-cbc-essiv:sha256 KEY16 9 DEV AT300',
    provider: 'library',
  },
  {
    // Past the kernel's page cache, which would remember what zero forgets.
    table: '0 304 zero\n304 720 crypt aes-xts-plain64 KEY32 0 DEV AT304 1 sector_size:4096',
    unit: 4096,
    zeroes: 304 * 512,
  },
];

/** What the words of a line stand for on `device`, where the volume starts at sector `at`. */
function fill(table: string, device: string, at: number): string {
  return table
    .replaceAll(/KEY(\d+)/g, (_, length) => randomBytes(`key ${length}`, Number(length)).toString('hex'))
    .replaceAll('DEV', device)
    .replaceAll(/AT(\d*)/g, (_, more) => `${at + Number(more)}`);
}

const depth = 8;
const nothing = Buffer.alloc(0);
/** Bytes of the longest operation, in whole pages. */
const longest = 1 << 20;
declare const WebAssembly: { Memory: new (pages: { initial: number }) => { buffer: ArrayBuffer } };
/** What O_DIRECT asks for, a buffer on a page for each operation in flight: WebAssembly's memory starts on one, a Buffer's anywhere. */
const memory = Buffer.from(new WebAssembly.Memory({ initial: ((depth + 1) * longest) / 65536 }).buffer);

/** One operation on the kernel's device; the answer is what was read, which stays in the slot of memory. */
async function run({ op, offset, length, data }: Step, node: string, file: FileHandle, slot: number): Promise<Buffer> {
  const buffer = memory.subarray(slot * longest, slot * longest + length);
  if (op === 'flush') await file.sync();
  else if (op === 'discard') {
    const args = ['--force', '--offset', `${offset}`, '--length', `${length}`, node];
    const [status] = await once(spawn('blkdiscard', args, { stdio: 'ignore' }), 'exit');
    expect(status, `blkdiscard ${args.join(' ')}`).to.equal(0);
  } else if (op === 'read') expect((await file.read(buffer, 0, length, offset)).bytesRead).to.equal(length);
  else {
    buffer.set(data);
    expect((await file.write(buffer, 0, length, offset)).bytesWritten).to.equal(length);
  }
  return buffer;
}

async function runOurs({ op, offset, length, data }: Step, device: Device): Promise<Uint8Array> {
  if (op === 'read') return device.read(offset, length);
  if (op === 'write') await device.write(offset, data);
  if (op === 'flush') await device.flush();
  if (op === 'discard') await device.discard(offset, length);
  return data;
}

describe(`dm: random operations on the kernel's devices and ours (seed ${seed})`, function () {
  this.timeout(600_000);
  let folder = '';
  let images = { kernel: '', ours: '' };
  let guest: DmGuest;
  let nodes = new Map<string, string>();

  before(() => {
    folder = mkdtempSync('/dev/shm/dmalg-sequences-');
    images = { kernel: `${folder}/kernel`, ours: `${folder}/ours` };
    for (const image of Object.values(images)) writeFileSync(image, randomBytes('image', volumes.length * size));
    guest = new DmGuest('dm-crypt', 'dm-zero');
    const loop = guest.loop(images.kernel);
    const below = volumes.flatMap(({ below }, index) =>
      below === undefined ? [] : [{ name: `below${index}`, table: fill(below, loop, index * sectors) }],
    );
    nodes = guest.create(below);
    const upper = volumes.map(({ table, below }, index) => {
      const [device, at] = below === undefined ? [loop, index * sectors] : [nodes.get(`below${index}`)!, 0];
      return { name: `upper${index}`, table: fill(table, device, at) };
    });
    nodes = guest.create(upper);
  });
  after(() => {
    guest?.close();
    if (folder) rmSync(folder, { recursive: true });
  });

  for (const [
    index,
    { table, below, provider = 'kernel', unit = 512, discards = false, zeroes = 0 },
  ] of volumes.entries()) {
    const title = [...(below ? [below] : []), table].join(' below ').replaceAll('\n', ' and ');
    it(`seed ${seed}, ${provider}, multiples of ${unit}: ${title}`, async () => {
      const at = index * sectors;
      const lower = below === undefined ? undefined : await openTable(fill(below, images.ours, at), { provider });
      const [name, start] = lower ? ['lower', 0] : [images.ours, at];
      const devices = lower ? { lower } : {};
      const device = await openTable(fill(table, name, start), { provider, devices });
      const node = nodes.get(`upper${index}`)!;
      const file = await open(node, constants.O_RDWR | (unit === 1 ? 0 : constants.O_DIRECT));
      // What a discard leaves is the kernel's to say; all else has to be what was written.
      const model = Buffer.from(await run({ op: 'read', offset: 0, length: size, data: nothing }, node, file, 0));
      for (const steps of sequence({ seed: seed + index, size, unit, rounds: 12, depth, discards })) {
        const [theirs, ours] = await Promise.all([
          Promise.all(steps.map((step, slot) => run(step, node, file, slot))),
          Promise.all(steps.map((step) => runOurs(step, device))),
        ]);
        for (const [which, step] of steps.entries()) {
          const { op, offset, length, data } = step;
          const what = `${op} ${offset}+${length}`;
          if (op === 'write') {
            model.set(data, offset);
            model.fill(0, 0, zeroes);
          } else if (op === 'discard') {
            const left = await run({ ...step, op: 'read' }, node, file, depth);
            expect(left.equals(await device.read(offset, length)), `after ${what}`).to.equal(true);
            model.set(left, offset);
          } else if (op === 'read') {
            const expected = model.subarray(offset, offset + length);
            expect(expected.equals(theirs[which]!), `${what}: the kernel's`).to.equal(true);
            expect(expected.equals(ours[which]!), `${what}: ours`).to.equal(true);
          }
        }
      }
      await Promise.all([file.sync(), device.flush()]);
      expect(model.equals(await device.read(0, size)), 'ours at the end').to.equal(true);
      await Promise.all([file.close(), device.close()]);
      await lower?.close();
      const [theirs, ours] = [images.kernel, images.ours].map((image) =>
        readFileSync(image).subarray(index * size, (index + 1) * size),
      );
      expect(ours!.equals(theirs!), 'the images are the same').to.equal(true);
    });
  }
});
