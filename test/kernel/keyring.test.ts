import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { release } from 'node:os';
import { expect } from 'chai';
import { CryptConvert } from '../../lib/crypto/sector/convert.js';
import { openTable } from '../../lib/dm/open-table.js';
import { TableError } from '../../lib/dm/table-error.js';
import { addKey, keyctl } from '../support/keyctl.js';

const size = 16384;
const sectors = size / 512;
const payload = Buffer.from(Array.from({ length: 64 }, (_, index) => index * 3 + 1));
const plain = Buffer.from(Array.from({ length: size }, (_, index) => index ^ (index >> 8)));

/** `ALG_SET_KEY_BY_KEY_SERIAL` is there since 6.2. */
const [major = 0, minor = 0] = release().split('.').map(Number);
const takesSerials = major > 6 || (major === 6 && minor >= 2);

/** A new line is a new test. */
const volumes = [
  { cipher: 'aes-xts-plain64', type: 'user', key: 32 },
  { cipher: 'aes-cbc-essiv:sha256', type: 'user', key: 32 },
  { cipher: 'aes-cbc-tcw', type: 'user', key: 64 },
  { cipher: 'aes-xts-plain64', type: 'logon', key: 64, options: '2 sector_size:4096 iv_large_sectors' },
  { cipher: 'aes-cbc-essiv:sha256', type: 'logon', key: 32 },
  { cipher: 'aes-cbc-eboiv', type: 'logon', key: 16 },
  { cipher: 'aes-xts-plain64', type: 'encrypted', key: 32 },
].map(({ cipher, type, key, options = '' }, index) => {
  const name = `:${key}:${type}:dmalg:${key}`;
  const line = (device: string) =>
    `0 ${sectors} crypt ${cipher} ${name} 8 ${device} ${index * sectors} ${options}`.trim();
  return { node: `keyring${index}`, cipher, type, key, name, options, line, start: index * sectors };
});

/** The kernel's dm-crypt, in the same machine, takes the same keys from the same keyring. */
describe("dm-crypt: keys of the kernel's keyring, against the kernel's", function () {
  this.timeout(600_000);
  let folder = '';
  let backing = '';
  let loop = '';
  const nodes = new Map<string, string>();
  const printed = new Map<string, string>();

  before(() => {
    execFileSync('modprobe', ['--all', 'loop', 'dm-crypt', 'encrypted-keys']);
    for (const name of new Set(volumes.map(({ name }) => name))) {
      const [, bytes, type, ...description] = name.split(':');
      if (type !== 'encrypted') addKey(type as 'user', description.join(':'), payload.subarray(0, Number(bytes)));
    }
    keyctl(['add', 'encrypted', 'dmalg:32', 'new user:dmalg:64 32', '@u']);
    folder = mkdtempSync('/dev/shm/dmalg-keyring-');
    backing = `${folder}/image`;
    writeFileSync(backing, Buffer.alloc(volumes.length * size));
    loop = execFileSync('losetup', ['--find', '--show', backing]).toString().trim();
    const concise = volumes.map(({ node, line }) => `${node},,,rw,${line(loop)}`).join(';');
    execFileSync('dmsetup', ['create', '--noudevsync', '--concise', concise]);
    for (const each of readdirSync('/sys/block'))
      if (each.startsWith('dm-')) nodes.set(readFileSync(`/sys/block/${each}/dm/name`, 'utf8').trim(), `/dev/${each}`);
    for (const line of execFileSync('dmsetup', ['table']).toString().split('\n')) {
      const [node = '', rest = ''] = line.split(/: (.*)/);
      printed.set(node, rest.replace(/ \d+:\d+ /, ` ${backing} `));
    }
  });
  after(() => {
    if (nodes.size) execFileSync('dmsetup', ['remove', '--noudevsync', '--retry', ...nodes.keys()]);
    if (loop) execFileSync('losetup', ['--detach', loop]);
    if (folder) rmSync(folder, { recursive: true });
  });

  for (const { node, cipher, type, key, name, options, line, start } of volumes)
    it(`${cipher} ${name} ${options}`, async () => {
      if (type !== 'user' && !takesSerials) {
        const error = await openTable(line(loop), { provider: 'kernel' }).then(
          () => undefined,
          (reason) => reason,
        );
        expect(error).to.be.instanceOf(TableError);
        expect(error).to.include({ reason: 'Error decoding and setting key', code: 'ENOPROTOOPT' });
        expect((error as Error).message).to.match(/needs Linux 6\.2 .*; a key of type user can be read$/);
        return;
      }
      const device = openSync(nodes.get(node)!, 'r+');
      writeSync(device, plain, 0, size, 0);
      fsyncSync(device);
      closeSync(device);
      const sealed = readFileSync(backing).subarray(start * 512, start * 512 + size);
      for (const provider of type === 'user' ? (['kernel', 'library'] as const) : (['kernel'] as const)) {
        // Not on the loop device, whose cache knows nothing of what dm-crypt sends past it.
        await using ours = await openTable(line(backing), { provider });
        expect(plain.equals(await ours.read(0, size)), `${provider}: reads what the kernel wrote`).to.equal(true);
        await ours.write(0, Buffer.alloc(size));
        await ours.write(0, plain);
        await ours.flush();
        const written = readFileSync(backing).subarray(start * 512, start * 512 + size);
        expect(written.equals(sealed), `${provider}: writes what the kernel wrote`).to.equal(true);
        expect(ours.table()).to.equal(printed.get(node));
      }
      if (type === 'encrypted') return; // nobody knows its bytes
      const geometry = options ? { sectorSize: 4096, ivLargeSectors: true } : {};
      using hex = new CryptConvert({
        cipher,
        key: payload.subarray(0, key),
        ivOffset: 8n,
        ...geometry,
        provider: 'kernel',
      });
      const out = Buffer.alloc(size);
      await hex.convert('encrypt', 0, plain, out);
      expect(out.equals(sealed), 'the same bytes as with the key in hex').to.equal(true);
    });

  it('key set with the name of a key does what it does in the kernel', async () => {
    const { node, line, start } = volumes[0]!;
    addKey('user', 'dmalg:set', payload.subarray(32));
    execFileSync('dmsetup', ['suspend', node]);
    execFileSync('dmsetup', ['message', node, '0', 'key set :32:user:dmalg:set']);
    execFileSync('dmsetup', ['resume', '--noudevsync', node]);
    const device = openSync(nodes.get(node)!, 'r+');
    writeSync(device, plain, 0, size, 0);
    fsyncSync(device);
    closeSync(device);
    await using ours = await openTable(line(backing));
    await ours.suspend();
    await ours.message('key set :32:user:dmalg:set');
    await ours.resume();
    expect(plain.equals(await ours.read(0, size))).to.equal(true);
    using hex = new CryptConvert({ cipher: 'aes-xts-plain64', key: payload.subarray(32), ivOffset: 8n });
    const out = Buffer.alloc(size);
    await hex.convert('encrypt', 0, plain, out);
    expect(out.equals(readFileSync(backing).subarray(start * 512, start * 512 + size))).to.equal(true);
  });
});
