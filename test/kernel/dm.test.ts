import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { expect } from 'chai';
import { openTable } from '../../lib/dm/open-table.js';
import { randomBytes } from '../support/random-bytes.js';
import { DmGuest, ourRefusal, readAt, writeAt } from './dm-guest.js';
import { accepted, acceptedLater, refused, refusedLater } from './dm-lines.js';

/** Whether the kernel's flakey is the one that ours is: 6.1's is an older one. */
const isLater = !release().startsWith('6.1.');

describe("dm: the kernel's targets", function () {
  this.timeout(600_000);
  let folder = '';
  let loop = '';
  let guest: DmGuest;
  const good = [...accepted, ...(isLater ? acceptedLater : [])].map((line, index) => ({ name: `good${index}`, line }));
  let printed: Record<'table' | 'status', Map<string, string>>;

  const table = (line: string) => (/^\d/.test(line) ? line : `0 64 ${line}`).replaceAll('DEV', loop);

  before(() => {
    folder = mkdtempSync('/dev/shm/dmalg-dm-');
    writeFileSync(`${folder}/image`, Buffer.alloc(1 << 20));
    guest = new DmGuest('dm-zero', 'dm-delay', 'dm-flakey');
    loop = guest.loop(`${folder}/image`);
    guest.create(good.map(({ name, line }) => ({ name, table: table(line) })));
    printed = { table: guest.print('table'), status: guest.print('status') };
  });
  after(() => {
    guest?.close();
    if (folder) rmSync(folder, { recursive: true });
  });

  for (const { name, line } of good)
    it(`table and status are the same: ${line}`, async () => {
      await using ours = await openTable(table(line));
      expect(ours.table()).to.equal(printed.table.get(name));
      expect(ours.status()).to.equal(printed.status.get(name));
      // What is printed opens the same device again.
      await using again = await openTable(ours.table());
      expect(again.table()).to.equal(ours.table());
    });

  for (const line of [...refused, ...(isLater ? refusedLater : [])])
    it(`refused in the same words: ${line.replace('\n', ' and ')}`, async () => {
      const words = guest.refusal(table(line));
      expect(words).not.to.equal('accepted');
      expect(await ourRefusal(table(line))).to.equal(words);
    });
});

// Korchagin 2020's three devices on a RAM disk: two flags less the queues, and the bytes are all the same.
describe("dm: Korchagin 2020's devices on /dev/ram0", function () {
  this.timeout(600_000);
  /** Bytes for each of the three: far apart, since what the RAM disk's own cache has read ahead stays as it was. */
  const stretch = 1 << 20;
  const names = ['eram0', 'eram0-inline-write', 'eram0-inline-read'];
  const lines = ['', ' 1 no_write_workqueue', ' 1 no_read_workqueue'].map(
    (flag) => `0 ${(3 * stretch) / 512} crypt capi:ecb(cipher_null) - 0 /dev/ram0 0${flag}`,
  );
  let guest: DmGuest;
  let nodes = new Map<string, string>();
  let printed: Record<'table' | 'status', Map<string, string>>;

  before(() => {
    guest = new DmGuest('dm-crypt');
    guest.ram(3 * stretch);
    nodes = guest.create(lines.map((table, index) => ({ name: names[index]!, table })));
    printed = { table: guest.print('table', '--showkeys'), status: guest.print('status') };
  });
  after(() => guest?.close());

  for (const [index, line] of lines.entries())
    it(line, async () => {
      const [name, node] = [names[index]!, nodes.get(names[index]!)!];
      await using ours = await openTable(line, { provider: 'kernel' });
      expect(ours.table({ showKeys: true })).to.equal(printed.table.get(name));
      expect(ours.status()).to.equal(printed.status.get(name));
      const [first, second] = [randomBytes(`${line} first`, 65536), randomBytes(`${line} second`, 65536)];
      const [read, written] = [index * stretch, index * stretch + stretch / 2];
      writeAt(node, read, first);
      expect(first.equals(await ours.read(read, first.length)), 'reads what the kernel wrote').to.equal(true);
      await ours.write(written, second);
      await ours.flush();
      expect(readAt(node, written, second.length).equals(second), 'the kernel reads what we wrote').to.equal(true);
      expect(readAt('/dev/ram0', written, second.length).equals(second), 'nothing is enciphered').to.equal(true);
    });
});
