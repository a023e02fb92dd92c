import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { dmalg, inFolder } from './run.js';

const library = ['--provider', 'library'];
const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

describe('dmalg hash', function () {
  this.timeout(600_000);

  it(
    'prints what sha256sum prints, names with line breaks and backslashes too',
    inFolder((folder) => {
      const names = ['a.bin', 'with space', 'line\nbreak', 'back\\slash', '*star'];
      for (const name of names) writeFileSync(join(folder, name), `content of ${name}`);
      writeFileSync(join(folder, 'empty'), '');
      writeFileSync(join(folder, 'long'), Buffer.alloc(3_000_000, 7));
      const files = [...names, 'empty', 'long'];
      const expected = spawnSync('sha256sum', ['--', ...files], { cwd: folder, encoding: 'utf8' });
      const { status, stdout, stderr } = dmalg(folder, ['hash', '--name', 'sha256', ...library, '--', ...files]);
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(stdout.toString()).to.equal(expected.stdout);

      writeFileSync(join(folder, 'list'), stdout);
      const check = dmalg(folder, ['hash', '--name', 'sha256', ...library, '--check', 'list']);
      expect(check.status).to.equal(0);
      const theirs = spawnSync('sha256sum', ['--check', 'list'], { cwd: folder, encoding: 'utf8' });
      expect(check.stdout.toString()).to.equal(theirs.stdout);

      const tagged = dmalg(folder, ['hash', '--name', 'sha256', ...library, '--tag', '--', ...files]);
      const theirTags = spawnSync('sha256sum', ['--tag', '--', ...files], { cwd: folder, encoding: 'utf8' });
      expect(tagged.stdout.toString()).to.equal(theirTags.stdout);
      writeFileSync(join(folder, 'list'), tagged.stdout);
      expect(dmalg(folder, ['hash', '--name', 'sha256', ...library, '--check', 'list']).stdout.toString()).to.equal(
        theirs.stdout,
      );
      // Digests of another hash are no lines of this list.
      expect(dmalg(folder, ['hash', '--name', 'sha512', ...library, '--check', 'list']).status).to.equal(1);
    }),
  );

  it(
    'reads stdin without a file, and for -',
    inFolder((folder) => {
      for (const args of [[], ['-']]) {
        const { stdout } = dmalg(folder, ['hash', '--name', 'sha256', ...library, ...args], 'abc');
        expect(stdout.toString()).to.equal(`${abc}  -\n`);
      }
    }),
  );

  it(
    'takes a key as hex, and as a file of raw bytes, and never shows it',
    inFolder((folder) => {
      const key = Buffer.from('00ff10', 'hex');
      writeFileSync(join(folder, 'key'), key);
      const expected = `${createHmac('sha1', key).update('abc').digest('hex')}  -\n`;
      const name = ['hash', '--name', 'hmac(sha1)', ...library];
      expect(dmalg(folder, [...name, '--key', '00FF10'], 'abc').stdout.toString()).to.equal(expected);
      expect(dmalg(folder, [...name, '--key-file', 'key'], 'abc').stdout.toString()).to.equal(expected);
      const wrong = dmalg(folder, [...name, '--key', 'secret'], 'abc');
      expect(wrong.status).to.equal(1);
      expect(wrong.stderr).to.match(/^dmalg: --key: expected an even number of hex digits/);
      expect(wrong.stderr).not.to.include('secret');
      expect(dmalg(folder, [...name, '--key', '00', '--key-file', 'key'], 'abc').status).to.equal(1);
      const none = dmalg(folder, name, 'abc');
      expect(none.status).to.equal(6);
      expect(none.stderr).to.include('ENOKEY');
    }),
  );

  it(
    'prints JSON',
    inFolder((folder) => {
      const { stdout } = dmalg(folder, ['hash', '--name', 'sha256', ...library, '--json'], 'abc');
      expect(JSON.parse(stdout.toString())).to.deep.equal({ name: 'sha256', files: [{ file: '-', digest: abc }] });
    }),
  );

  it(
    'checks a list with the statuses of sha256sum, and silently with --status',
    inFolder((folder) => {
      writeFileSync(join(folder, 'a'), 'abc');
      const check = (list: string) => dmalg(folder, ['hash', '--name', 'sha256', ...library, '-c', '-'], list);
      const good = `${abc.toUpperCase()} *a\n`;
      const different = `${abc.replace('b', 'c')}  a\n`;
      const missing = `${abc}  missing\n`;
      expect(check(good).status).to.equal(0);
      const mixed = check(good + different + missing);
      expect(mixed.status).to.equal(1);
      expect(mixed.stdout.toString()).to.equal('a: OK\na: FAILED\nmissing: FAILED open or read\n');
      expect(mixed.stderr).to.include('1 computed digests did NOT match');
      expect(check(good + missing).status).to.equal(1);
      const odd = check(`${good}no digest here\n`);
      expect(odd.status).to.equal(0);
      expect(odd.stderr).to.include('1 of 2 lines are improperly formatted');
      expect(check('nothing\n').status).to.equal(1);
      expect(check('').status).to.equal(1);
      for (const list of [good, different, missing, `${good}odd\n`, '']) {
        const args = ['--check', '--status', '-'];
        const theirs = spawnSync('sha256sum', args, { cwd: folder, input: list, encoding: 'utf8' });
        const ours = dmalg(folder, ['hash', '--name', 'sha256', ...library, '--status', '--check', '-'], list);
        expect(ours.status).to.equal(theirs.status);
        expect(ours.stdout.toString()).to.equal('');
      }
      expect(dmalg(folder, ['hash', '--name', 'sha256', ...library, '--status', 'a']).status).to.equal(1);
    }),
  );

  it(
    'says in one line what is wrong, without a stack trace',
    inFolder((folder) => {
      for (const [args, status, text] of [
        [['--name', 'sha256', 'missing'], 4, /ENOENT.*missing/],
        [[], 1, /--name is missing; see 'dmalg hash --help'/],
        [['--name', 'sha256', '--provider', 'x'], 1, /--provider: expected auto, kernel, library, got 'x'/],
        [['--name', 'sha256', '--engine', 'x'], 1, /--engine: expected/],
        [['--name', 'sha256', '--nmae', 'x'], 1, /nmae.*; see 'dmalg hash --help'/],
        [['--driver', 'sha256-generic', '--provider', 'library'], 1, /--driver: the library has no drivers/],
        [['--name', 'nothing', '--provider', 'library'], 6, /ENOENT: unknown name; 'dmalg info'/],
        [['--name', 'sha25'], 6, /unknown name; did you mean 'sha256'\?/],
        [['--name', 'SHA512/256', '--provider', 'library'], 6, /the kernel's name of it is 'sha512-256'/],
        [['--name', 'wp512', '--provider', 'library'], 6, /ENOENT.*libcrypto does not know it/],
        [['--name', 'sha256', '--check', 'x', 'y'], 1, /--check: expected no files/],
      ] as const) {
        const outcome = dmalg(folder, ['hash', ...args], 'abc');
        expect(outcome.status, args.join(' ')).to.equal(status);
        expect(outcome.stderr).to.match(text);
        expect(outcome.stderr.trim().split('\n')).to.have.length(1);
        expect(outcome.stdout.toString()).to.equal('');
      }
      expect(dmalg(folder, ['hash', '--name', 'sha256', 'missing', '--debug']).stderr).to.match(/\n\s+at /);
    }),
  );

  it(
    'explains itself',
    inFolder((folder) => {
      const { status, stdout } = dmalg(folder, ['hash', '--help']);
      expect(status).to.equal(0);
      for (const option of ['--name ALG', '--key-file FILE', '--check FILE', '--provider P', '--json', '--quiet'])
        expect(stdout.toString()).to.include(option);
    }),
  );
});
