import { createCipheriv } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { dmalg, inFolder, startDmalg, untilOpened } from './run.js';

const keyHex = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const ivHex = 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff';
const key = Buffer.from(keyHex, 'hex');
const iv = Buffer.from(ivHex, 'hex');
const data = Buffer.alloc(1_000_003, 'some text ');

function options(name: string, ...more: string[]): string[] {
  return ['--name', name, '--key', keyHex, '--iv', ivHex, '--provider', 'library', ...more];
}

describe('dmalg encrypt and decrypt', function () {
  this.timeout(600_000);

  it(
    'cbc(aes) is what openssl enc writes; files and pipes are the same',
    inFolder((folder) => {
      const reference = createCipheriv('aes-256-cbc', key, iv);
      const expected = Buffer.concat([reference.update(data), reference.final()]);
      writeFileSync(join(folder, 'in'), data);
      writeFileSync(join(folder, 'key'), key);
      const { status, stderr } = dmalg(folder, ['encrypt', ...options('cbc(aes)'), 'in', 'out']);
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(readFileSync(join(folder, 'out')).equals(expected)).to.equal(true);
      const fromFile = ['--name', 'cbc(aes)', '--key-file', 'key', '--iv', ivHex, '--provider', 'library'];
      expect(dmalg(folder, ['encrypt', ...fromFile], data).stdout.equals(expected)).to.equal(true);
      expect(dmalg(folder, ['decrypt', ...options('cbc(aes)'), '-', '-'], expected).stdout.equals(data)).to.equal(true);
      expect(dmalg(folder, ['decrypt', ...options('cbc(aes)'), 'out']).stdout.equals(data)).to.equal(true);
      expect(readdirSync(folder).sort()).to.deep.equal(['in', 'key', 'out']);
    }),
  );

  it(
    'takes every kind of cipher, and nothing at all',
    inFolder((folder) => {
      for (const args of [
        options('ctr(aes)'),
        options('chacha20'),
        options('cbc(aes)'),
        options('xts(aes)'),
        ['--name', 'ecb(aes)', '--key', keyHex, '--provider', 'library'],
        [...options('ccm(aes)'), '--iv', ivHex.slice(0, 26), '--aad', '0102', '--auth-size', '8'],
        [...options('gcm(aes)'), '--iv', ivHex.slice(8)],
      ])
        for (const input of [Buffer.alloc(0), data.subarray(0, 60_000)]) {
          const sealed = dmalg(folder, ['encrypt', ...args], input);
          expect(sealed.status, sealed.stderr).to.equal(0);
          const opened = dmalg(folder, ['decrypt', ...args], sealed.stdout);
          expect(opened.stdout.equals(input), args.join(' ')).to.equal(true);
        }
    }),
  );

  it(
    'gcm(aes) has its tag behind the text; a forged one ends with 2 and leaves no file',
    inFolder((folder) => {
      const args = [
        '--name',
        'gcm(aes)',
        '--key',
        keyHex,
        '--iv',
        ivHex.slice(8),
        '--aad',
        'aabb',
        '--provider',
        'library',
      ];
      const reference = createCipheriv('aes-256-gcm', key, iv.subarray(4)).setAAD(Buffer.from('aabb', 'hex'));
      const expected = Buffer.concat([reference.update(data), reference.final(), reference.getAuthTag()]);
      const sealed = dmalg(folder, ['encrypt', ...args], data).stdout;
      expect(sealed.equals(expected)).to.equal(true);
      sealed[17]! ^= 1;
      const forged = dmalg(folder, ['decrypt', ...args, '-', 'out'], sealed);
      expect(forged.status).to.equal(2);
      expect(forged.stderr).to.include('authentication failed');
      expect(forged.stdout).to.have.length(0);
      expect(readdirSync(folder)).to.deep.equal([]);
      expect(dmalg(folder, ['decrypt', ...args], 'short').status).to.equal(1);
    }),
  );

  it(
    'replaces an existing file only when the new one is complete, and keeps its mode',
    inFolder((folder) => {
      const out = join(folder, 'out');
      writeFileSync(out, 'before');
      chmodSync(out, 0o640);
      symlinkSync('out', join(folder, 'link'));
      const failed = dmalg(folder, ['decrypt', ...options('cbc(aes)'), '-', 'link'], Buffer.alloc(1_000_000));
      expect(failed.status).to.equal(2);
      expect(readFileSync(out, 'utf8')).to.equal('before');
      const done = dmalg(folder, ['encrypt', ...options('ctr(aes)'), '-', 'link'], 'abc');
      expect(done.status).to.equal(0);
      expect(readFileSync(out)).to.have.length(3);
      expect(statSync(out).mode & 0o777).to.equal(0o640);
      expect(readdirSync(folder).sort()).to.deep.equal(['link', 'out']);
      // A file may be its own output.
      expect(dmalg(folder, ['decrypt', ...options('ctr(aes)'), 'out', 'out']).status).to.equal(0);
      expect(readFileSync(out, 'utf8')).to.equal('abc');
      expect(dmalg(folder, ['encrypt', ...options('ctr(aes)'), 'out', '/dev/null']).status).to.equal(0);
    }),
  );

  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    it(
      `${signal} leaves no half-written file`,
      inFolder(async (folder) => {
        const child = startDmalg(folder, ['encrypt', ...options('ctr(aes)'), '-', 'out']);
        child.stdin.on('error', () => {}); // it is killed while it is being written to
        child.stdin.write(data);
        await untilOpened(child, folder);
        child.kill(signal);
        const [code] = await once(child, 'exit');
        expect(code).to.equal(status);
        expect(readdirSync(folder)).to.deep.equal([]);
      }),
    );

  it(
    'says in one line what is wrong',
    inFolder((folder) => {
      for (const [args, status, text] of [
        [
          ['--name', 'cbc(aes)', '--key', keyHex, '--provider', 'library'],
          1,
          /iv: expected 16 bytes for cbc\(aes\), got null/,
        ],
        [['--name', 'cbc(aes)', '--iv', ivHex, '--provider', 'library'], 6, /ENOKEY: set the key first/],
        [options('cbc(aes)', '--no-padding'), 1, /data: expected a multiple of 16 bytes for cbc\(aes\), got 3/],
        [options('cbc(aes)', 'a', 'b', 'c'), 1, /expected IN and OUT, got 3 files/],
        [options('cbc(aes)', 'missing'), 4, /ENOENT.*missing/],
        [options('cbc(aes)', '-', 'no/such/folder'), 4, /ENOENT/],
        [options('cbc(aes)', '--aad', '00'), 6, /no AEAD/],
        [options('cbc(aes)', '--auth-size', '16'), 1, /authTagLength: expected none/],
        [options('cbc(aes)', '--auth-size', 'x'), 1, /--auth-size: expected a whole number/],
        [options('xts(aes)', '--key', '00'), 1, /key: expected 32 or 64 bytes for xts\(aes\), got 1/],
      ] as const) {
        const outcome = dmalg(folder, ['encrypt', ...args], 'abc');
        expect(outcome.stderr).to.match(text);
        expect(outcome.status, args.join(' ')).to.equal(status);
        expect(outcome.stderr.trim().split('\n')).to.have.length(1);
        expect(outcome.stdout).to.have.length(0);
      }
    }),
  );
});
