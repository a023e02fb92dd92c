import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { backUpHeader, backupSize, restoreHeader } from '../../lib/luks/backup.js';
import { convertToLuks1, convertToLuks2 } from '../../lib/luks/convert.js';
import { type HeaderStorage, type LuksHeader, readHeader } from '../../lib/luks/header.js';
import { addKey, changeKey, eraseKeys, killSlot } from '../../lib/luks/manage.js';
import type { Pbkdf } from '../../lib/luks/pbkdf.js';
import { type Unlocked, unlock } from '../../lib/luks/unlock.js';
import {
  cheap,
  cheapOptions,
  cryptsetup,
  fileStorage,
  formatCheaply,
  inLuksFolder,
  MemoryStorage,
  opensWith,
} from '../support/luks.js';

interface Row {
  type: 'luks1' | 'luks2';
  cipher?: string;
  /** Bits. */
  keySize?: number;
  hash?: string;
  sectorSize?: number;
  pbkdf?: keyof typeof cheap;
  /** Bytes. */
  metadataSize?: number;
  keyslotsSize?: number;
  offset?: number;
  label?: string;
  detached?: boolean;
}

const rows: Row[] = [
  { type: 'luks1' },
  { type: 'luks1', cipher: 'aes-cbc-essiv:sha256', keySize: 256 },
  { type: 'luks1', cipher: 'aes-xts-plain64', keySize: 256, hash: 'sha512' },
  { type: 'luks1', hash: 'sha1', cipher: 'aes-cbc-plain', keySize: 128 },
  { type: 'luks1', hash: 'ripemd160', offset: 4 << 20 },
  { type: 'luks1', detached: true },
  { type: 'luks2', pbkdf: 'pbkdf2' },
  { type: 'luks2', pbkdf: 'argon2i' },
  { type: 'luks2', pbkdf: 'argon2id' },
  { type: 'luks2', pbkdf: 'pbkdf2', sectorSize: 512, hash: 'sha512' },
  { type: 'luks2', pbkdf: 'pbkdf2', sectorSize: 1024, cipher: 'aes-cbc-essiv:sha256', keySize: 256 },
  { type: 'luks2', pbkdf: 'pbkdf2', sectorSize: 2048, cipher: 'aes-xts-plain64', keySize: 256 },
  { type: 'luks2', pbkdf: 'argon2id', metadataSize: 64 << 10, keyslotsSize: 1 << 20, label: 'data of mine' },
  { type: 'luks2', pbkdf: 'pbkdf2', metadataSize: 4 << 20 },
  { type: 'luks2', pbkdf: 'pbkdf2', offset: 24 << 20 },
  { type: 'luks2', pbkdf: 'pbkdf2', detached: true },
];

const size = 40 << 20;

function name({ type, ...row }: Row): string {
  return [type, ...Object.entries(row).map(([key, value]) => `${key} ${value}`)].join(', ');
}

function optionsOf(row: Row): string[] {
  const pbkdf = row.type === 'luks1' ? ['--pbkdf-force-iterations', '1000'] : cheapOptions[row.pbkdf ?? 'pbkdf2'];
  const given: [string, string | number | undefined][] = [
    ['--cipher', row.cipher],
    ['--key-size', row.keySize],
    ['--hash', row.hash],
    ['--sector-size', row.sectorSize],
    ['--luks2-metadata-size', row.metadataSize],
    ['--luks2-keyslots-size', row.keyslotsSize],
    ['--offset', row.offset === undefined ? undefined : row.offset / 512],
    ['--label', row.label],
    ['--header', row.detached ? 'header' : undefined],
  ];
  return [
    ...['--type', row.type, ...pbkdf],
    ...given.filter(([, value]) => value !== undefined).flatMap(([option, value]) => [option, String(value)]),
  ];
}

function costsOf({ pbkdf = 'pbkdf2', hash = 'sha256' }: Row): Pbkdf {
  return pbkdf === 'pbkdf2' ? { ...cheap.pbkdf2, hash } : cheap[pbkdf];
}

/** Opens a volume with a passphrase, and wipes nothing: it is a test's. */
async function open(storage: HeaderStorage, passphrase: string): Promise<Unlocked & { header: LuksHeader }> {
  const header = await readHeader(storage);
  expect(header.damage).to.deep.equal([]);
  return { header, ...(await unlock(storage, header, Buffer.from(passphrase))) };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    ({ code }) => code,
  );
}

/** What luksDump says, less what differs from header to header. */
function dump(folder: string, image: string): string {
  const { status, stdout } = cryptsetup(folder, ['luksDump', image]);
  expect(status).to.equal(0);
  return stdout
    .replace(/(UUID|MK iterations|Iterations|Epoch): *\t*.*/g, '$1')
    .replace(/(MK digest|MK salt|Salt|Digest): *\t*([0-9a-f ]+\n\s*)+/g, '$1\n')
    .replace(/[ \t]+/g, ' ');
}

describe('LUKS headers and cryptsetup', function () {
  this.timeout(600_000);

  for (const row of rows)
    it(
      `${name(row)}: both ways`,
      inLuksFolder(async (folder) => {
        const image = row.detached ? 'header' : 'image';
        const file = (name: string) => join(folder, name);
        writeFileSync(file('pw'), 'secret');
        for (const each of ['theirs', 'ours']) {
          writeFileSync(file('image'), '');
          truncateSync(file('image'), size);
          if (each === 'theirs') {
            const said = cryptsetup(folder, ['luksFormat', '-q', ...optionsOf(row), 'image', 'pw']);
            expect(said.status, said.stderr).to.equal(0);
          } else {
            if (row.detached) {
              writeFileSync(file('header'), '');
              truncateSync(file('header'), 16 << 20);
            }
            const { keySize, pbkdf: _, type, ...rest } = row;
            const storage = await fileStorage(file(image));
            await formatCheaply(storage, { ...rest, type, keySize: keySize && keySize / 8 }, costsOf(row));
            await storage.close();
          }
          const storage = await fileStorage(file(image));
          const { header, key, slot } = await open(storage, 'secret');
          expect(slot).to.equal(0);
          expect(opensWith(folder, image, 'secret')).to.equal(0);
          writeFileSync(file(`dump-${each}`), dump(folder, image));
          expect(await codeOf(unlock(storage, header, Buffer.from('secret\n')))).to.equal('EPERM');

          const pbkdf = {
            ...cheap[row.pbkdf ?? 'pbkdf2'],
            ...(row.type === 'luks1' && { hash: row.hash ?? 'sha256' }),
          };
          expect(await addKey(storage, header, { key, passphrase: Buffer.from('two'), pbkdf })).to.equal(1);
          expect(opensWith(folder, image, 'two')).to.equal(1);
          writeFileSync(file('three'), 'three');
          const added = cryptsetup(folder, [
            ...[
              'luksAddKey',
              '-q',
              '--key-file',
              'pw',
              ...cheapOptions[row.type === 'luks1' ? 'pbkdf2' : (row.pbkdf ?? 'pbkdf2')],
            ],
            ...[image, 'three'],
          ]);
          expect(added.status, added.stderr).to.equal(0);
          const again = await open(storage, 'three');
          expect(again.slot).to.equal(2);
          expect(again.key.equals(key)).to.equal(true);

          const changed = await changeKey(storage, again.header, 1, { key, passphrase: Buffer.from('four'), pbkdf });
          expect(changed).to.equal(row.type === 'luks1' ? 3 : 1);
          expect(opensWith(folder, image, 'four')).to.equal(changed);
          expect(opensWith(folder, image, 'two')).to.equal(null);
          await killSlot(storage, again.header, 0);
          expect(opensWith(folder, image, 'secret')).to.equal(null);
          expect(opensWith(folder, image, 'three')).to.equal(2);
          expect(cryptsetup(folder, ['luksKillSlot', '-q', image, '2']).status).to.equal(0);
          expect(await codeOf(open(storage, 'three'))).to.equal('EPERM');
          expect((await open(storage, 'four')).slot).to.equal(changed);

          const backup = new MemoryStorage(backupSize(again.header));
          const last = await readHeader(storage);
          await backUpHeader(storage, last, backup);
          expect(
            cryptsetup(folder, ['luksHeaderBackup', image, '--header-backup-file', `backup-${each}`]).status,
          ).to.equal(0);
          const theirs = readFileSync(file(`backup-${each}`));
          // cryptsetup empties what lies between LUKS1's header and its first slot.
          expect(backup.size).to.equal(theirs.length);
          expect(backup.bytes.subarray(4096).equals(theirs.subarray(4096))).to.equal(true);
          await eraseKeys(storage, last);
          expect(opensWith(folder, image, 'four')).to.equal(null);
          expect(await codeOf(open(storage, 'four'))).to.equal('ENOENT');
          await restoreHeader(storage, each === 'ours' ? new MemoryStorage(theirs) : backup);
          expect(opensWith(folder, image, 'four')).to.equal(changed);
          await storage.close();
        }
        expect(readFileSync(file('dump-ours'), 'utf8')).to.equal(readFileSync(file('dump-theirs'), 'utf8'));
      }),
    );

  it(
    'converts 1 to 2 and back, and so does cryptsetup',
    inLuksFolder(async (folder) => {
      const file = join(folder, 'image');
      writeFileSync(file, '');
      truncateSync(file, 8 << 20);
      const storage = await fileStorage(file);
      const key = await formatCheaply(storage, { type: 'luks1' });
      for (let turn = 0; turn < 2; turn++) {
        const two = await convertToLuks2(storage, await readHeader(storage));
        expect(two.version).to.equal(2);
        expect(cryptsetup(folder, ['isLuks', '--type', 'luks2', 'image']).status).to.equal(0);
        expect(opensWith(folder, 'image', 'secret')).to.equal(0);
        await convertToLuks1(storage, await readHeader(storage));
        expect(cryptsetup(folder, ['isLuks', '--type', 'luks1', 'image']).status).to.equal(0);
        expect(opensWith(folder, 'image', 'secret')).to.equal(0);
        expect((await open(storage, 'secret')).key.equals(key)).to.equal(true);
      }
      const theirs = cryptsetup(folder, ['convert', '-q', '--type', 'luks2', 'image']);
      expect(theirs.status, theirs.stderr).to.equal(0);
      expect((await open(storage, 'secret')).header.version).to.equal(2);
      const added = { key, passphrase: Buffer.from('two'), pbkdf: cheap.argon2id };
      await addKey(storage, await readHeader(storage), added);
      const refusal = await convertToLuks1(storage, await readHeader(storage)).catch((error) => error);
      expect(refusal.message).to.match(/key slot 1 is argon2id, not pbkdf2/);
      await storage.close();
    }),
  );

  it('all slots of LUKS1 in use: converting is refused before anything is touched', async () => {
    const storage = new MemoryStorage(4 << 20);
    const key = await formatCheaply(storage, { type: 'luks1' });
    for (let slot = 1; slot < 8; slot++)
      await addKey(storage, await readHeader(storage), {
        key,
        passphrase: Buffer.from(`${slot}`),
        pbkdf: cheap.pbkdf2,
      });
    const before = Buffer.from(storage.bytes);
    expect(await codeOf(convertToLuks2(storage, await readHeader(storage)))).to.equal('ENOSPC');
    const full = { key, passphrase: Buffer.from('x'), pbkdf: cheap.pbkdf2 };
    expect(await codeOf(addKey(storage, await readHeader(storage), full))).to.equal('ENOSPC');
    expect(storage.bytes.equals(before)).to.equal(true);
  });

  it('a header of another volume is not overwritten by a backup without force', async () => {
    const [one, two] = [new MemoryStorage(20 << 20), new MemoryStorage(20 << 20)];
    await formatCheaply(one, {});
    await formatCheaply(two, {});
    const before = Buffer.from(one.bytes);
    expect(await codeOf(restoreHeader(one, two))).to.equal('EEXIST');
    expect(one.bytes.equals(before)).to.equal(true);
    await restoreHeader(one, two, { force: true });
    expect((await readHeader(one)).uuid).to.equal((await readHeader(two)).uuid);
  });
});
