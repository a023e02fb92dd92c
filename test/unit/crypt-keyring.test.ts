import { expect } from 'chai';
import { CryptConvert } from '../../lib/crypto/sector/convert.js';
import { CryptError } from '../../lib/crypto/sector/error.js';
import { takeFromKeyring } from '../../lib/crypto/sector/keyring.js';
import type { Device } from '../../lib/dm/device.js';
import { openTable } from '../../lib/dm/open-table.js';
import { TableError } from '../../lib/dm/table-error.js';
import { addKey, keyctl, removeKey } from '../support/keyctl.js';

const provider = 'library' as const;
const payload = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 5));
const other = Buffer.from(payload.map((byte) => byte ^ 0xff));

async function failure(run: Promise<unknown>): Promise<Error & { code?: string }> {
  return run.then(
    () => expect.fail('accepted'),
    (error) => error,
  );
}

describe("dm-crypt: keys of the kernel's keyring", () => {
  const name = `dmalg:${process.pid}`;
  const serials: number[] = [];
  let below: Device;
  const line = (key: string) => `0 16 crypt aes-xts-plain64 ${key} 0 below 0`;
  const open = (key: string) => openTable(line(key), { provider, devices: { below } });

  before(async function () {
    try {
      serials.push(addKey('user', name, payload), addKey('user', `${name}:other`, other));
      serials.push(addKey('logon', name, payload), addKey('user', `${name}:revoked`, payload));
      keyctl(['revoke', String(serials.at(-1))]);
    } catch (error) {
      this.test!.title += ` (skipped: ${(error as Error).message})`;
      this.skip();
    }
    below = await openTable('0 16 linear ram:8192 0');
  });
  after(async () => {
    for (const serial of serials) removeKey(serial);
    await below?.close();
  });

  it('a logon key that is missing: how cryptsetup would have left it', async () => {
    const { message } = await failure(open(':32:logon:cryptsetup:absent'));
    expect(message).to.contain('ENOKEY').and.to.contain('cryptsetup open --disable-keyring');
    expect((await failure(open(':32:user:absent'))).message).not.to.contain('cryptsetup');
  });

  it('a user key is what the same bytes in hex are', async () => {
    await using hex = await open(payload.toString('hex'));
    await using named = await open(`:32:user:${name}`);
    const data = Buffer.alloc(8192, 'what is written');
    await hex.write(0, data);
    expect(Buffer.from(await named.read(0, 8192)).equals(data)).to.equal(true);
    const sealed = Buffer.from(await below.read(0, 8192));
    await named.write(0, data);
    expect(sealed.equals(await below.read(0, 8192))).to.equal(true);
    expect(sealed.equals(data)).to.equal(false);
  });

  it('a table shows the name of a key as it is, and the bytes of one that has taken its place as zeroes', async () => {
    await using device = await open(`:32:user:${name}`);
    expect(device.table()).to.equal(`${line(`:32:user:${name}`)}`);
    expect(device.table({ showKeys: true })).to.equal(device.table());
    await device.suspend();
    await device.message(`key set ${other.toString('hex')}`);
    expect(device.table()).to.equal(line('0'.repeat(64)));
    expect(device.table({ showKeys: true })).to.equal(line(other.toString('hex')));
    await device.message(`key set :32:user:${name}`);
    expect(device.table()).to.equal(line(`:32:user:${name}`));
    await device.message('key wipe');
    expect(device.table({ showKeys: true })).to.equal(line('0'.repeat(64)));
    await device.message(`key set :32:user:${name}:other`);
    await device.resume();
    await using hex = await open(other.toString('hex'));
    await device.write(0, Buffer.alloc(512, 3));
    expect(Buffer.from(await hex.read(0, 512)).equals(Buffer.alloc(512, 3))).to.equal(true);
  });

  it('a key that cannot be set leaves the one that is', async () => {
    await using device = await open(`:32:user:${name}`);
    await device.write(0, Buffer.alloc(512, 4));
    await device.suspend();
    expect((await failure(device.message(`key set :32:user:${name}:none`))).code).to.equal('ENOKEY');
    expect((await failure(device.message(`key set :31:user:${name}`))).code).to.equal('EINVAL');
    await device.resume();
    expect(Buffer.from(await device.read(0, 512)).equals(Buffer.alloc(512, 4))).to.equal(true);
  });

  for (const [key, code, words] of [
    [':32:user:NAME:none', 'ENOKEY', /it is in no keyring of this process/],
    [':32:logon:NAME:other', 'ENOKEY', /it is in no keyring of this process/],
    [
      ':32:user:NAME:revoked',
      'EKEYREVOKED',
      /user key 'dmalg:\d+:revoked': request_key: EKEYREVOKED: it has been revoked/,
    ],
    [':31:user:NAME', 'EINVAL', /expected 31 bytes, got 32/],
    [':33:user:NAME', 'EINVAL', /expected 33 bytes, got 32/],
    [':64:logon:NAME', 'EINVAL', /expected 64 bytes, got 32/],
    [
      ':32:logon:NAME',
      'EOPNOTSUPP',
      /only the kernel's crypto takes a key that cannot be read; a key of type user can/,
    ],
  ] as const)
    it(`${key}: ${code}`, async () => {
      const error = await failure(open(key.replace('NAME', name)));
      expect(error).to.be.instanceOf(TableError);
      expect(error).to.include({ reason: 'Error decoding and setting key', argument: 1, code });
      expect(error.message).to.match(words);
    });

  it('a logon key stays in the kernel: what is known of it is its number', () => {
    expect(takeFromKeyring({ type: 'logon', description: name, size: 32 })).to.deep.equal({
      serial: serials[2],
      size: 32,
    });
  });
});

describe('dm-crypt: a key that cannot be read', () => {
  const refusal = (cipher: string, asked: 'auto' | 'library') => {
    try {
      new CryptConvert({ cipher, key: { serial: 1, size: 32 }, provider: asked }).close();
    } catch (error) {
      expect(error).to.be.instanceOf(CryptError);
      return (error as CryptError).message;
    }
    return 'accepted';
  };
  for (const [cipher, asked, words] of [
    ['aes-xts-plain64', 'library', /only the kernel's crypto/],
    ['aes:2-cbc-plain64', 'auto', /cannot be cut into 2/],
    ['aes-cbc-tcw', 'auto', /tcw needs a part of the key/],
    ['aes-cbc-lmk', 'auto', /lmk needs a part of the key/],
    ['aes-cbc-elephant', 'auto', /elephant needs a part of the key/],
    ['capi:ecb(cipher_null)-plain64', 'library', /only the kernel's crypto takes a key/],
  ] as const)
    it(`is refused for ${cipher}, ${asked}`, () => expect(refusal(cipher, asked)).to.match(words));
});
