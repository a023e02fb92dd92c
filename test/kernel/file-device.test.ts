import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { DeviceError } from '../../lib/dm/device-error.js';
import { openTable } from '../../lib/dm/open-table.js';

const mebibyte = 1 << 20;

describe('file device: block devices and full file systems', function () {
  this.timeout(600_000);
  let folder = '';
  let loop = '';
  before(() => {
    folder = mkdtempSync('/dev/shm/dmalg-file-');
    writeFileSync(`${folder}/image`, Buffer.alloc(4 * mebibyte, 7));
    execFileSync('modprobe', ['loop']);
    loop = execFileSync('losetup', ['--sector-size', '4096', '--find', '--show', `${folder}/image`])
      .toString()
      .trim();
    mkdirSync(`${folder}/small`);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'small', `${folder}/small`]);
  });
  after(() => {
    if (loop) execFileSync('losetup', ['--detach', loop]);
    execFileSync('umount', [`${folder}/small`]);
    rmSync(folder, { recursive: true });
  });

  for (const direct of [false, true])
    it(`a block device has its own blocks, and takes discards${direct ? ', past the page cache' : ''}`, async () => {
      await using device = await openTable(`0 8192 linear ${loop} 0`, { direct });
      expect([device.blockSize, device.discards]).to.deep.equal([4096, true]);
      const data = Buffer.alloc(3000, 'some bytes');
      await device.write(mebibyte - 1000, data);
      await device.flush();
      const { blocks } = statSync(`${folder}/image`);
      expect(data.equals(await device.read(mebibyte - 1000, 3000))).to.equal(true);
      const at = direct ? 2 * mebibyte : 3 * mebibyte;
      await device.discard(at, mebibyte);
      expect(statSync(`${folder}/image`).blocks).to.equal(blocks - mebibyte / 512);
      expect(Buffer.alloc(mebibyte).equals(await device.read(at, mebibyte))).to.equal(true);
    });

  it('a full file system is the error of the sectors that found no room', async () => {
    writeFileSync(`${folder}/small/image`, '');
    execFileSync('truncate', ['-s', '1M', `${folder}/small/image`]);
    await using device = await openTable(`0 2048 linear ${folder}/small/image 0`);
    const error: DeviceError = await device.write(0, Buffer.alloc(mebibyte, 1)).then(
      () => expect.fail('there was room'),
      (reason) => reason,
    );
    expect(error.code).to.equal('ENOSPC');
    expect(error.failed).to.deep.equal([{ sector: 128, sectors: 1920 }]);
    expect(error.message).to.match(
      /^ENOSPC: write failed at sectors 128\+1920; ENOSPC: no space left on device, write$/,
    );
    expect((error.cause as NodeJS.ErrnoException).syscall).to.equal('write');
  });
});
