import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { dmalg, inFolder, startDmalg } from './run.js';

const key = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const line = `0 128 crypt aes-xts-plain64 ${key}${key.replaceAll('0', 'f')} 0 ram:65536 0`;

describe('keys on the command line', function () {
  this.timeout(600_000);

  it(
    'are overwritten in the process list by the time that a server is ready',
    inFolder(async (folder) => {
      const child = startDmalg(folder, ['serve', '--table', line, '--socket', 'nbd', '--provider', 'library']);
      try {
        await once(child.stdout, 'data');
        const shown = readFileSync(`/proc/${child.pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
        expect(shown).to.equal(
          'dmalg serve --table 0 128 crypt aes-xts-plain64 <128 hex digits> 0 ram:65536 0 --socket nbd --provider library',
        );
      } finally {
        child.kill();
        await once(child, 'exit');
      }
    }),
  );

  it(
    'are not repeated by a command that has no use for them there',
    inFolder((folder) => {
      for (const args of [
        ['dm', 'read', line],
        ['dm', line],
        ['serve', line],
        ['crypt', 'encrypt', key],
        ['crypt', 'encrypt', 'in', 'out', '--cipher', key, '--key', key],
        ['crypt', 'encrypt', 'in', 'out', '--cipher', 'aes-xts-plain64', '--key-file', key],
        ['crypt', 'encrypt', 'in', 'out', '--cipher', 'aes-xts-plain64', '--key-file', key, '--debug'],
        ['hash', '--name', key, 'in'],
        ['hash', '--name', key, 'in', '--debug'],
        ['hash', '--name', 'sha256', '--provider', key],
        [key],
        ['dm', 'read', `--${key}`],
      ]) {
        const { status, stdout, stderr } = dmalg(folder, args);
        expect(status, args.join(' ')).to.be.greaterThan(0);
        expect(stderr, args.join(' ')).to.not.equal('');
        for (let at = 0; at + 16 <= key.length; at++) {
          expect(stderr.toLowerCase(), args.join(' ')).to.not.include(key.slice(at, at + 16));
          expect(stdout.toString()).to.not.include(key.slice(at, at + 16));
        }
      }
    }),
  );

  it(
    'a key file may be longer than a page',
    inFolder((folder) => {
      const bytes = Buffer.from(Uint8Array.from({ length: 9000 }, (_, at) => at % 251));
      writeFileSync(join(folder, 'key'), bytes);
      writeFileSync(join(folder, 'data'), 'data');
      const expected = `${createHmac('sha256', bytes).update('data').digest('hex')}  data\n`;
      const args = ['hash', '--name', 'hmac(sha256)', '--provider', 'library', '--key-file'];
      expect(dmalg(folder, [...args, 'key', 'data']).stdout.toString()).to.equal(expected);
      expect(dmalg(folder, [...args, 'missing', 'data'])).to.deep.include({
        status: 4,
        stderr: "dmalg: --key-file: ENOENT: no such file or directory, open 'missing'\n",
      });
    }),
  );
});
