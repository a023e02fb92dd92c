import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { cryptsetup, inLuksFolder, opensWith } from '../support/luks.js';
import { dmalg } from './run.js';

const cheap = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];

function luks(folder: string, args: string[], input: string | Uint8Array = '') {
  const { status, stdout, stderr } = dmalg(folder, ['luks', ...args], input);
  return { status, stdout: stdout.toString(), stderr };
}

function good(folder: string, args: string[], input: string | Uint8Array = ''): string {
  const said = luks(folder, args, input);
  expect(said.status, said.stderr).to.equal(0);
  return said.stdout;
}

describe('dmalg luks', function () {
  this.timeout(300_000);

  for (const type of ['luks1', 'luks2'])
    it(
      `${type}: format, write, read, and every change of keys, with cryptsetup as the witness`,
      inLuksFolder(async (folder) => {
        const file = (name: string) => join(folder, name);
        const plain = randomBytes(3_000_000 - 7);
        writeFileSync(file('pw'), 'secret');
        writeFileSync(file('new'), 'new one');
        writeFileSync(file('plain'), plain);
        const key = ['--key-file', 'pw'];
        good(folder, ['format', 'disk', '--type', type, '--size', '24M', ...key, ...cheap]);
        expect(statSync(file('disk')).size).to.equal(24 << 20);
        expect(opensWith(folder, 'disk', 'secret')).to.equal(0);
        good(folder, ['write', 'disk', ...key, '--input', 'plain']);
        expect(good(folder, ['read', 'disk', ...key, '--length', String(plain.length), '--output', 'back'])).to.equal(
          '',
        );
        expect(readFileSync(file('back')).equals(plain)).to.equal(true);
        const piece = dmalg(folder, ['luks', 'read', 'disk', ...key, '--offset', '1001', '--length', '5000']);
        expect(piece.stdout.equals(plain.subarray(1001, 6001))).to.equal(true);
        good(folder, ['write', 'disk', ...key, '--offset', '4095'], Buffer.from('odd'));
        plain.write('odd', 4095);
        const whole = dmalg(folder, ['luks', 'read', 'disk', ...key, '--length', String(plain.length)]);
        expect(whole.stdout.equals(plain)).to.equal(true);

        const dump = cryptsetup(folder, ['luksDump', 'disk']).stdout;
        expect(good(folder, ['dump', 'disk'])).to.equal(dump);
        expect(good(folder, ['uuid', 'disk'])).to.equal(cryptsetup(folder, ['luksUUID', 'disk']).stdout);
        expect(JSON.parse(good(folder, ['dump', 'disk', '--json']))).to.include({ version: type === 'luks1' ? 1 : 2 });
        if (type === 'luks2') {
          const theirs = JSON.parse(cryptsetup(folder, ['luksDump', '--dump-json-metadata', 'disk']).stdout);
          expect(JSON.parse(good(folder, ['dump', '--dump-json-metadata', 'disk']))).to.deep.equal(theirs);
        } else expect(luks(folder, ['dump', '--dump-json-metadata', 'disk']).status).to.equal(1);

        good(folder, ['add-key', 'disk', ...key, '--new-key-file', 'new', ...cheap]);
        expect(opensWith(folder, 'disk', 'new one')).to.equal(1);
        expect(good(folder, ['test', 'disk', '--key-file', 'new'])).to.equal('Key slot 1 unlocked.\n');
        expect(JSON.parse(good(folder, ['test', 'disk', '--key-file', '-', '--json'], 'new one'))).to.deep.equal({
          slot: 1,
        });
        expect(good(folder, ['test', 'disk'], 'secret\nmore')).to.equal('Key slot 0 unlocked.\n');
        expect(good(folder, ['test', 'disk', ...key, '--keyfile-offset', '0', '--keyfile-size', '6'])).to.match(
          /slot 0/,
        );
        writeFileSync(file('long'), 'xxnew oneyy');
        expect(
          good(folder, ['test', 'disk', '--key-file', 'long', '--keyfile-offset', '2', '--keyfile-size', '7']),
        ).to.match(/slot 1/);
        const wrong = luks(folder, ['test', 'disk', ...key, '--key-slot', '1']);
        expect([wrong.status, wrong.stderr]).to.deep.equal([2, 'dmalg: No key available with this passphrase.\n']);

        good(folder, ['header-backup', 'disk', '--header-backup-file', 'backup']);
        expect(luks(folder, ['header-backup', 'disk', '--header-backup-file', 'backup']).status).to.equal(5);
        expect(statSync(file('backup')).mode & 0o777).to.equal(0o400);
        writeFileSync(file('third'), 'third');
        good(folder, ['change-key', 'disk', ...key, '--new-key-file', 'third', ...cheap]);
        const changed = type === 'luks1' ? 2 : 0;
        expect(opensWith(folder, 'disk', 'third')).to.equal(changed);
        expect(opensWith(folder, 'disk', 'secret')).to.equal(null);
        good(folder, ['remove-key', 'disk', '--key-file', 'new']);
        const last = luks(folder, ['kill-slot', 'disk', '--key-slot', String(changed)]);
        expect([last.status, last.stderr]).to.deep.equal([
          5,
          `dmalg: key slot ${changed} is the last one: without it nobody opens the volume; --batch-mode does it\n`,
        ]);
        expect(opensWith(folder, 'disk', 'third')).to.equal(changed);
        expect(luks(folder, ['erase', 'disk']).status).to.equal(5);
        good(folder, ['erase', 'disk', '--batch-mode']);
        expect(opensWith(folder, 'disk', 'third')).to.equal(null);
        good(folder, ['header-restore', 'disk', '--header-backup-file', 'backup']);
        expect(opensWith(folder, 'disk', 'secret')).to.equal(0);
        expect(
          dmalg(folder, ['luks', 'read', 'disk', ...key, '--length', '9000']).stdout.equals(plain.subarray(0, 9000)),
        ).to.equal(true);

        const other = type === 'luks1' ? 'luks2' : 'luks1';
        if (other === 'luks1') {
          const refused = luks(folder, ['convert', 'disk', '--type', other, '--batch-mode']);
          expect([refused.status, refused.stderr]).to.deep.equal([
            6,
            'dmalg: cannot be LUKS1: sectors have 4096 bytes, not 512\n',
          ]);
        } else {
          good(folder, ['convert', 'disk', '--type', other, '--batch-mode']);
          expect(cryptsetup(folder, ['isLuks', '--type', other, 'disk']).status).to.equal(0);
          good(folder, [
            'convert-key',
            'disk',
            ...key,
            '--pbkdf',
            'argon2id',
            '--pbkdf-memory',
            '64',
            '--pbkdf-force-iterations',
            '4',
          ]);
          expect(good(folder, ['dump', 'disk'])).to.match(/PBKDF: {6}argon2id/);
          expect(opensWith(folder, 'disk', 'secret')).to.equal(0);
        }
        const again = dmalg(folder, ['luks', 'read', 'disk', ...key, '--length', '9000']);
        expect(again.stdout.equals(plain.subarray(0, 9000))).to.equal(true);
      }),
    );

  it(
    'a detached header, a volume key, and the line that the kernel gets',
    inLuksFolder(async (folder) => {
      const file = (name: string) => join(folder, name);
      const key = randomBytes(64);
      writeFileSync(file('pw'), 'secret');
      writeFileSync(file('vk'), key);
      const header = ['--header', 'head'];
      const format = [
        'format',
        'disk',
        '--size',
        '1M',
        ...header,
        '--key-file',
        'pw',
        '--volume-key-file',
        'vk',
        ...cheap,
      ];
      good(folder, format);
      expect(statSync(file('disk')).size).to.equal(1 << 20);
      good(folder, ['write', 'disk', ...header, '--volume-key-file', 'vk'], 'x'.repeat(1 << 20));
      const crypt = [
        'crypt',
        'decrypt',
        'disk',
        'plain',
        '--cipher',
        'aes-xts-plain64',
        '--key-file',
        'vk',
        '--sector-size',
        '4096',
      ];
      expect(dmalg(folder, crypt).status).to.equal(0);
      expect(readFileSync(file('plain'), 'latin1')).to.equal('x'.repeat(1 << 20));
      const uuid = good(folder, ['uuid', 'head']).trim();
      const line = good(folder, ['table', 'disk', ...header]);
      expect(line).to.equal(
        `0 2048 crypt aes-xts-plain64 :64:logon:cryptsetup:${uuid}-d0 0 disk 0 1 sector_size:4096\n`,
      );
      const shown = good(folder, ['table', 'disk', ...header, '--showkeys', '--key-file', 'pw']);
      expect(shown).to.equal(`0 2048 crypt aes-xts-plain64 ${key.toString('hex')} 0 disk 0 1 sector_size:4096\n`);
      writeFileSync(file('vk'), randomBytes(64));
      const wrong = luks(folder, ['read', 'disk', ...header, '--volume-key-file', 'vk']);
      expect([wrong.status, wrong.stderr]).to.deep.equal([2, 'dmalg: Volume key does not match the volume.\n']);
    }),
  );

  it(
    'one damaged copy: told, readable, repaired by repair alone',
    inLuksFolder(async (folder) => {
      writeFileSync(join(folder, 'pw'), 'secret');
      good(folder, ['format', 'disk', '--size', '20M', '--key-file', 'pw', ...cheap]);
      const path = join(folder, 'disk');
      const bytes = readFileSync(path);
      bytes.fill(0, 0, 4096);
      writeFileSync(path, bytes);
      const said = luks(folder, ['test', 'disk', '--key-file', 'pw']);
      expect(said.stdout).to.equal('Key slot 0 unlocked.\n');
      expect(said.stderr).to.match(/warning: LUKS2 header at 0: has no LUKS magic; 'dmalg luks repair'/);
      expect(readFileSync(path).equals(bytes)).to.equal(true);
      good(folder, ['repair', 'disk']);
      expect(luks(folder, ['repair', 'disk']).stderr).to.equal('Nothing to repair.\n');
      expect(opensWith(folder, 'disk', 'secret')).to.equal(0);
    }),
  );

  const mistakes: [args: string[], status: number, message: RegExp][] = [
    [[], 1, /expected format, dump/],
    [['nope', 'disk'], 1, /got 'nope'/],
    [['dump'], 1, /expected IMAGE, got 0 arguments/],
    [['dump', 'disk', 'x'], 1, /expected IMAGE, got 2 arguments/],
    [['dump', 'absent'], 4, /ENOENT.*absent/],
    [['dump', 'zeroes'], 4, /zeroes: no LUKS header/],
    [['dump', 'zeroes', '--key-file', 'pw'], 1, /--key-file: not an option of luks dump/],
    [['format', 'absent', '--key-file', 'pw'], 4, /ENOENT/],
    [['format', 'zeroes', '--size', '1M', '--key-file', 'pw'], 5, /exists already/],
    [['format', 'full', '--key-file', 'pw', ...cheap], 5, /'full' holds data, which would be lost/],
    [
      ['format', 'zeroes', '--key-file', 'pw', ...cheap],
      4,
      /1048576 bytes have no room for data .* takes 16777216; use --size/,
    ],
    [['format', 'new', '--size', '32M', '--key-file', 'absent', ...cheap], 4, /--key-file: ENOENT/],
    [['format', 'new', '--size', '32Q', '--key-file', 'pw'], 1, /--size: expected a number of bytes/],
    [['format', 'new', '--size', '32M', '--key-file', 'pw', '--cipher', 'rot13-xts-plain64', ...cheap], 6, /rot13/],
    [
      ['format', 'new', '--size', '32M', '--key-file', 'pw', '--key-size', '300', ...cheap],
      1,
      /300 bits are no whole bytes/,
    ],
    [['format', 'new', '--size', '32M', '--key-file', 'pw', '--key-size', '136', ...cheap], 1, /key/],
    [['format', 'new', '--size', '32M', '--key-file', 'pw', '--hash', 'whirlwind', ...cheap], 6, /whirlwind/],
    [['format', 'new', '--size', '32M', '--key-file', 'pw', '--sector-size', '513', ...cheap], 1, /sector size: 513/],
    [['format', 'new', '--size', '32M', '--key-file', 'pw', '--integrity', 'hmac-sha256'], 6, /no integrity tags/],
    [
      ['format', 'new', '--size', '32M', '--key-file', 'pw', '--offset', '8', ...cheap],
      1,
      /key slots' area|data offset/,
    ],
    [['format', 'new', '--size', '32M', '--key-file', 'pw', '--uuid', 'x', ...cheap], 1, /uuid: x is none/],
    [
      [
        'format',
        'new',
        '--type',
        'luks1',
        '--size',
        '32M',
        '--key-file',
        'pw',
        '--label',
        'x',
        '--pbkdf-force-iterations',
        '1000',
      ],
      1,
      /--label is for --type luks2/,
    ],
    [
      ['format', 'new', '--type', 'luks1', '--size', '32M', '--key-file', 'pw', '--pbkdf', 'argon2id'],
      1,
      /--pbkdf: expected pbkdf2/,
    ],
    [
      ['format', 'new', '--size', '32M', '--key-file', 'pw', ...cheap, '--pbkdf-memory', '64'],
      1,
      /pbkdf2 has no such cost/,
    ],
    [['kill-slot', 'zeroes'], 1, /--key-slot is missing/],
    [['write', 'zeroes'], 1, /the data is on stdin, so the passphrase needs --key-file/],
    [['test', 'zeroes', '--keyfile-size', '3'], 4, /no LUKS header/],
  ];
  for (const [args, status, message] of mistakes)
    it(
      `luks ${args.join(' ')}`,
      inLuksFolder(async (folder) => {
        writeFileSync(join(folder, 'pw'), 'secret');
        writeFileSync(join(folder, 'zeroes'), '');
        truncateSync(join(folder, 'zeroes'), 1 << 20);
        writeFileSync(join(folder, 'full'), randomBytes(1 << 20));
        truncateSync(join(folder, 'full'), 32 << 20);
        const before = readFileSync(join(folder, 'full')).subarray(0, 1 << 21);
        const said = luks(folder, args);
        expect(said.stderr).to.match(message);
        expect(said.status).to.equal(status);
        expect(said.stderr.trim().split('\n')).to.have.length(1);
        expect(existsSync(join(folder, 'new'))).to.equal(false);
        expect(
          readFileSync(join(folder, 'full'))
            .subarray(0, 1 << 21)
            .equals(before),
        ).to.equal(true);
      }),
    );
});
