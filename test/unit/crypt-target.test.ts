import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { openTable } from '../../lib/dm/open-table.js';
import { TableError } from '../../lib/dm/table-error.js';

const key = '000102030405060708090a0b0c0d0e0fF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF';
const device = 'ram:65536';
const line = (options = '', length = 120) =>
  `0 ${length} crypt aes-xts-plain64 ${key} 8 ${device} 8${options && ` ${options}`}`;
const options = { provider: 'library' as const };

async function refusal(table: string): Promise<string> {
  try {
    await (await openTable(table, options)).close();
  } catch (error) {
    expect(error).to.be.instanceOf(TableError);
    expect((error as Error).message).not.to.include(key.slice(0, 16));
    const { reason, argument } = error as TableError;
    return argument === undefined ? reason : `${reason} @${argument}`;
  }
  return 'accepted';
}

describe('dm-crypt: target', () => {
  it('reads what it wrote, and below lies what the formula says', async () => {
    const below = await openTable(`0 128 linear ${device} 0`, options);
    const table = line('1 sector_size:4096').replace(device, 'below');
    const volume = await openTable(table, { ...options, devices: { below } });
    const data = Buffer.from(Array.from({ length: 8192 }, (_, i) => i * 7 + (i >> 8)));
    await volume.write(4096, data);
    expect(Buffer.from(await volume.read(4096, 8192)).equals(data)).to.equal(true);
    const raw = Buffer.from(await below.read(8 * 512 + 4096, 8192));
    for (const unit of [0, 1]) {
      const iv = Buffer.alloc(16);
      iv.writeUInt32LE(8 + 8 + unit * 8);
      const cipher = createCipheriv('aes-128-xts', Buffer.from(key, 'hex'), iv);
      expect(
        raw
          .subarray(unit * 4096, (unit + 1) * 4096)
          .equals(cipher.update(data.subarray(unit * 4096, (unit + 1) * 4096))),
      ).to.equal(true);
    }
    await volume.close();
    await below.close();
  });

  it('an error from below is told of exactly the sectors it hit, in both directions', async () => {
    const below = await openTable(`0 16 linear ${device} 0\n16 8 error\n24 104 linear ${device} 24`, options);
    const volume = await openTable(line('', 100).replace(device, 'below'), { ...options, devices: { below } });
    const failure = (run: Promise<unknown>) =>
      run.then(
        () => 'done',
        (error) => ({ code: error.code, failed: error.failed }),
      );
    const expected = { code: 'EIO', failed: [{ sector: 8, sectors: 8 }] };
    expect(await failure(volume.write(0, Buffer.alloc(512 * 32, 7)))).to.deep.equal(expected);
    expect(await failure(volume.read(0, 512 * 32))).to.deep.equal(expected);
    for (const at of [0, 16])
      expect(Buffer.from(await volume.read(at * 512, 4096)).equals(Buffer.alloc(4096, 7))).to.equal(true);
    await volume.close();
    await below.close();
  });

  it('writes over each other end in their order', async () => {
    const volume = await openTable(line(), { ...options, engine: 'lanes' });
    await Promise.all(Array.from({ length: 50 }, (_, i) => volume.write((i % 3) * 512, Buffer.alloc(4096, i))));
    const bytes = await volume.read(0, 8192);
    expect([bytes[0], bytes[512], bytes[1024], bytes[4096], bytes[4096 + 512]]).to.deep.equal([48, 49, 49, 49, 47]);
    await volume.close();
  });

  it('status: options in the order of the kernel, keys as zeroes unless asked for', async () => {
    const all =
      '8 IV_LARGE_SECTORS sector_size:4096 no_write_workqueue no_read_workqueue submit_from_crypt_cpus same_cpu_crypt high_priority allow_discards';
    const volume = await openTable(line(all), options);
    const rest =
      '8 allow_discards same_cpu_crypt high_priority submit_from_crypt_cpus no_read_workqueue no_write_workqueue sector_size:4096 iv_large_sectors';
    const expected = (shown: string) => `0 120 crypt aes-xts-plain64 ${shown} 8 ${device} 8 ${rest}`;
    expect(volume.table().trim()).to.equal(expected('0'.repeat(64)));
    expect(volume.table({ showKeys: true }).trim()).to.equal(expected(key.toLowerCase()));
    expect(volume.status()).to.equal('0 120 crypt ');
    await volume.close();
  });

  it('a table without options prints none', async () => {
    const volume = await openTable(line(), options);
    expect(volume.table().trim()).to.equal(`0 120 crypt aes-xts-plain64 ${'0'.repeat(64)} 8 ${device} 8`);
    await volume.close();
  });

  const edit = (index: number, value: string) => {
    const words = line().split(' ');
    words[index + 3] = value;
    return words.join(' ');
  };
  const refused: [string, string][] = [
    ['0 120 crypt aes-xts-plain64', 'Not enough arguments'],
    [edit(0, 'xts(aes)-plain64'), 'Bad cipher specification @0'],
    [edit(0, 'capi:-plain64'), 'Error allocating crypto tfm @0'],
    [edit(0, 'aes-xts-x'), 'Invalid IV mode @0'],
    [edit(0, 'aes-xts-random'), 'Integrity profile not supported. @0'],
    [edit(1, 'zz'), 'Error decoding and setting key @1'],
    [edit(1, key.slice(2)), 'Error decoding and setting key @1'],
    [edit(1, ':x:user:d'), 'Cannot parse key size @1'],
    [edit(1, ':32:user:d'), 'Error decoding and setting key @1'],
    [edit(2, '8x'), 'Invalid iv_offset sector @2'],
    [edit(3, '/nowhere/at/all'), 'Device lookup failed @3'],
    [edit(4, '8x'), 'Invalid device sector @4'],
    [line('x'), 'Invalid number of feature args @5'],
    [line('10 a b c d e f g h i j'), 'Invalid number of feature args @5'],
    [line('2 allow_discards'), 'Invalid number of feature args @5'],
    [line('1 nothing'), 'Invalid feature arguments @6'],
    [line('1 sector_size:513'), 'Invalid feature value for sector_size @6'],
    [line('1 sector_size:4096', 119), 'Device size is not multiple of sector_size feature @6'],
    [`${edit(4, '1')} 1 sector_size:4096`, `start=1 not aligned to h/w logical block size 4096 of ${device} @3`],
    [line('1 integrity:0:aead'), 'Invalid integrity arguments @6'],
    [line('1 integrity:16:other'), 'Unknown integrity profile @6'],
    [line('1 integrity:16:none'), 'Integrity profile not supported. @3'],
    [line('0 extra words'), 'accepted'],
  ];
  for (const [table, reason] of refused)
    it(`${table.replace(key, 'KEY')}: ${reason}`, async () => expect(await refusal(table)).to.equal(reason));

  it('key set and key wipe, while suspended', async () => {
    const volume = await openTable(line(), options);
    const failure = (run: Promise<unknown>) =>
      run.then(
        () => 'done',
        (error) => error.code,
      );
    expect(await failure(volume.message('key wipe'))).to.equal('EINVAL');
    await volume.write(0, Buffer.alloc(512, 5));
    await volume.suspend();
    expect(await failure(volume.message('key set 00'))).to.equal('EINVAL');
    expect(await failure(volume.message('key turn'))).to.equal('EINVAL');
    expect(await failure(volume.message('key wipe'))).to.equal('done');
    expect(volume.table({ showKeys: true })).to.include(` ${'0'.repeat(64)} `);
    expect(await failure(volume.resume())).to.equal('EAGAIN');
    expect(await failure(volume.message(`key set ${key}`))).to.equal('done');
    await volume.resume();
    expect(Buffer.from(await volume.read(0, 512)).equals(Buffer.alloc(512, 5))).to.equal(true);
    await volume.close();
  });
});
