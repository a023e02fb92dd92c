import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { CryptConvert } from '../../lib/crypto/sector/convert.js';
import { openTable } from '../../lib/dm/open-table.js';
import { randomBytes } from '../support/random-bytes.js';
import { cases, listed, refused } from './crypt-cases.js';
import { DmGuest, ourRefusal, readAt, writeAt } from './dm-guest.js';

/** Bytes of a volume. Each has its own stretch of the backing file. */
const size = 32768;
const sectors = size / 512;
const firstSector = 16;

const refusedKey = randomBytes('key', 32).toString('hex');

/** Every volume that the kernel accepts: the cases, and those of which only the status is looked at. */
const volumes = [
  ...cases,
  ...listed.map((options) => ({ cipher: 'aes-cbc-plain64', key: 32, offset: 8n, options, kernelOnly: true })),
].map(({ cipher, key: keySize, offset = 0n, options = '', kernelOnly = false }, index) => {
  const key = randomBytes(`${cipher} key`, keySize);
  const start = firstSector + index * sectors;
  const line = (device: string) =>
    `0 ${sectors} crypt ${cipher} ${key.toString('hex').toUpperCase() || '-'} ${offset} ${device} ${start} ${options}`.trim();
  return { name: `crypt${index}`, cipher, key, offset, options, kernelOnly, start, line };
});

// One dmsetup for all volumes: under emulation, starting programs would take most of the time.
describe("dm-crypt: the kernel's bytes", function () {
  this.timeout(600_000);
  let folder = '';
  let backing = '';
  let loop = '';
  let guest: DmGuest;
  let nodes = new Map<string, string>();
  let printed: Record<'table' | 'showKeys' | 'status', Map<string, string>>;

  before(() => {
    folder = mkdtempSync('/dev/shm/dmalg-crypt-');
    backing = `${folder}/image`;
    writeFileSync(backing, Buffer.alloc((firstSector + volumes.length * sectors) * 512));
    // Those that it asks for itself the kernel waits for for a minute, which is too short where it is emulated on a busy machine.
    const ciphers = ['camellia', 'des3_ede', 'essiv', 'lrw', 'serpent'].map((name) => `crypto-${name}`);
    guest = new DmGuest('dm-crypt', ...ciphers);
    loop = guest.loop(backing);
    nodes = guest.create(volumes.map(({ name, line }) => ({ name, table: line(loop) })));
    const [table, showKeys, status] = [['table'], ['table', '--showkeys'], ['status']].map((args) =>
      guest.print(...args),
    );
    printed = { table: table!, showKeys: showKeys!, status: status! };
  });
  after(() => {
    guest?.close();
    if (folder) rmSync(folder, { recursive: true });
  });

  for (const { name, cipher, key, offset, options, kernelOnly, start, line } of volumes.slice(0, cases.length))
    it(`${cipher}, key of ${key.length} bytes, iv_offset ${offset}, options '${options}'`, async () => {
      const device = nodes.get(name)!;
      const [first, second] = [randomBytes(`${cipher} first`, size), randomBytes(`${cipher} second`, size)];
      writeAt(device, 0, first);
      const sealed = readAt(backing, start * 512, size);
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
      expect(readAt(device, 0, size).equals(second), 'the kernel reads what we wrote').to.equal(true);
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
      const table = `0 ${sectors} crypt ${line.replace('KEY24', refusedKey.slice(0, 48)).replaceAll('KEY', refusedKey).replace('DEV', loop)}`;
      const words = guest.refusal(table);
      expect(words).not.to.equal('accepted');
      expect(await ourRefusal(table)).to.equal(words);
    });
});
