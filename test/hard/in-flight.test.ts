import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { CryptConvert, type Device, openTable } from '../../lib/index.js';
import { randomBytes } from '../support/random-bytes.js';
import { VerityTestImage } from '../support/verity-image.js';
import { deadline, draws, oneOf } from './seed.js';

const devices = 24;
const biosEach = 64;
const sectors = 2048;
const provider = 'library' as const;

/** What a crypt line says of its cipher, and the same to CryptConvert. */
const layers = [
  { cipher: 'aes-xts-plain64', keySize: 64 },
  { cipher: 'aes-xts-plain64', keySize: 32, sectorSize: 4096, ivLargeSectors: true },
  { cipher: 'aes-xts-plain', keySize: 64, sectorSize: 1024 },
  { cipher: 'aes-cbc-essiv:sha256', keySize: 32 },
  { cipher: 'aes-cbc-plain64', keySize: 16, sectorSize: 2048 },
  { cipher: 'aes-ctr-plain64be', keySize: 24 },
] as const;
const queues = ['same_cpu_crypt', 'submit_from_crypt_cpus', 'no_read_workqueue', 'no_write_workqueue'];

/** A device under test, and the bytes that it is to have. */
interface Rig {
  name: string;
  device: Device;
  model: Buffer;
  isReadOnly: boolean;
  /** Looks at what lies below it, at the end. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** Crypt devices on each other, `levels` of them, on linear pieces of RAM in another order; these alone take discards. */
async function cryptRig(draw: () => number, levels: number): Promise<Rig> {
  const half = sectors / 2;
  const ram = `ram:${sectors * 512}`;
  const bottom = await openTable(`0 ${half} linear ${ram} ${half}\n${half} ${half} linear ${ram} 0`);
  const opened = [bottom];
  const converts: CryptConvert[] = [];
  const lines: string[] = [];
  for (let level = 0; level < levels; level++) {
    const { keySize, ...fields } = oneOf(layers, draw);
    const key = randomBytes(`${draw()}`, keySize);
    const options = queues.filter(() => draw() < 0.3);
    if ('sectorSize' in fields) options.push(`sector_size:${fields.sectorSize}`);
    if ('ivLargeSectors' in fields) options.push('iv_large_sectors');
    const ivOffset = 8 * Math.floor(draw() * 1000);
    const crypt = `crypt ${fields.cipher} ${key.toString('hex')} ${ivOffset} below 0 ${options.length} ${options.join(' ')}`;
    lines.push(crypt);
    converts.push(new CryptConvert({ ...fields, key, ivOffset: BigInt(ivOffset), provider }));
    const engine = draw() < 0.2 ? ('sync' as const) : ('auto' as const);
    opened.unshift(
      await openTable(`0 ${sectors} ${crypt.trim()}`, { devices: { below: opened[0]! }, provider, engine }),
    );
  }
  const [device] = opened as [Device];
  const model = Buffer.from(await device.read(0, device.size));
  const name = lines.reverse().join(' on ');
  return {
    name,
    device,
    model,
    isReadOnly: false,
    check: async () => {
      const bytes = await bottom.read(0, bottom.size);
      for (const convert of converts) await convert.convert('decrypt', 0, bytes, bytes);
      expect(model.equals(bytes), `below ${name}`).to.equal(true);
    },
    close: async () => {
      for (const each of opened) await each.close();
      for (const convert of converts) convert.close();
    },
  };
}

/** A verity device that mends what it reads. */
async function verityRig(image: VerityTestImage, draw: () => number): Promise<Rig> {
  const options = ['ignore_zero_blocks', 'check_at_most_once', 'try_verify_in_tasklet'].filter(() => draw() < 0.5);
  const line = image.line(options);
  const device = await openTable(line, { readOnly: true, provider });
  return {
    name: line,
    device,
    model: image.bytes,
    isReadOnly: true,
    check: async () => {},
    close: () => device.close(),
  };
}

/** One thing after the other, of which there are many at once. */
async function oneBio({ device, model, isReadOnly, name }: Rig, draw: () => number): Promise<void> {
  // Operations on the same bytes happen in the order in which they were asked for, so the model is changed here.
  const isWhole = draw() < 0.7;
  const unit = isWhole ? device.blockSize : 1;
  const offset = Math.floor((draw() * model.length) / unit) * unit;
  const length = Math.min(Math.ceil((draw() ** 3 * 65536) / unit) * unit, model.length - offset);
  const what = draw();
  if (isReadOnly || what < 0.5) {
    const expected = Buffer.from(model.subarray(offset, offset + length));
    const bytes = await device.read(offset, length);
    expect(expected.equals(bytes), `read ${offset}+${length} of ${name}`).to.equal(true);
  } else if (what < 0.95) {
    const bytes = randomBytes(`${what}`, length);
    model.set(bytes, offset);
    await device.write(offset, bytes, { fua: draw() < 0.1 });
  } else if (what < 0.97 && isWhole && device.discardsToZero) {
    model.fill(0, offset, offset + length);
    await device.discard(offset, length);
  } else await device.flush();
}

describe('many bios in flight', function () {
  this.timeout(0);
  it(`${devices} devices with ${biosEach} bios each do what plain bytes do`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dmalg-flight-'));
    const draw = draws('bios in flight');
    const rigs: Rig[] = [];
    try {
      const image = await VerityTestImage.make(folder, { blocks: 300, roots: 8, zeroes: [7, 8, 100] });
      for (const block of [1, 50, 299]) image.spoil('data', block);
      image.spoil('hash', 1);
      while (rigs.length < devices) {
        const kind = draw();
        if (kind < 0.25) rigs.push(await verityRig(image, draw));
        else rigs.push(await cryptRig(draw, Math.floor(kind * 8) % 4));
      }
      const isLate = deadline(0.15);
      let bios = 0;
      const load = async (rig: Rig) => {
        for (let first = true; first || !isLate(); first = false) {
          await oneBio(rig, draw);
          bios++;
        }
      };
      const disturb = async ({ device }: Rig) => {
        while (!isLate()) {
          for (let turn = draw() * 50; turn > 0; turn--) await setImmediate();
          await device.suspend();
          await device.resume();
        }
      };
      const loads = rigs.flatMap((rig) => Array.from({ length: biosEach }, () => load(rig)));
      await Promise.all([...loads, ...rigs.map(disturb)]);
      expect(bios).to.be.at.least(devices * biosEach);
      for (const rig of rigs) {
        const { device, model, name } = rig;
        expect(model.equals(await device.read(0, model.length)), name).to.equal(true);
        await rig.check();
      }
    } finally {
      for (const rig of rigs) await rig.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
