import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { needPrograms } from '../support/need-programs.js';
import { dmalg, inFolder } from './run.js';

describe('dmalg completion', function () {
  this.timeout(120_000);

  for (const [line, expected] of [
    ['dmalg ve', ['verity']],
    ['dmalg verity ', ['format', 'verify', 'dump', 'repair', 'table', 'size']],
    ['dmalg verity re', ['repair']],
    ['dmalg dm t', ['table', 'targets']],
    ['dmalg compare al', ['all']],
    ['dmalg compare di', ['diff']],
    ['dmalg crypt encrypt in --sec', ['--sector-size']],
    ['dmalg hash --na', ['--name']],
    ['dmalg verity format ', []],
    ['dmalg nothing ', []],
  ] as const)
    it(
      `bash: '${line}'`,
      inFolder((folder) => {
        const { status, stdout } = dmalg(folder, ['completion', 'bash']);
        expect(status).to.equal(0);
        writeFileSync(join(folder, 'script'), stdout);
        const words = line.split(' ').map((word) => `'${word}'`);
        const program = `source ./script; COMP_WORDS=(${words.join(' ')}) COMP_CWORD=${words.length - 1}; _dmalg; printf '%s\\n' "\${COMPREPLY[@]}"`;
        const bash = spawnSync('bash', ['-u', '-c', program], { cwd: folder, encoding: 'utf8' });
        expect(bash.stderr).to.equal('');
        expect(bash.stdout.split('\n').filter(Boolean)).to.deep.equal(expected);
      }),
    );

  it('zsh takes the script, and finds every command in it', function () {
    needPrograms(this, { zsh: 'zsh' });
    return inFolder((folder) => {
      writeFileSync(join(folder, 'script'), dmalg(folder, ['completion', 'zsh']).stdout);
      // What the line editor would be given, without a terminal.
      const stubs = 'compdef() { :; }; _describe() { print -l $commands; }; _arguments() { print -l -- "$@"; };';
      const run = (words: string) =>
        spawnSync('zsh', ['-f', '-c', `${stubs} source ./script; words=(${words}); CURRENT=$#words; _dmalg`], {
          cwd: folder,
          encoding: 'utf8',
        });
      const names = run("dmalg ''");
      expect(names.stderr).to.equal('');
      expect(names.stdout).to.match(/^verity:Hash trees of dm-verity, as veritysetup's, without root.$/m);
      const options = run("dmalg verity ''");
      expect(options.stderr).to.equal('');
      expect(options.stdout).to.match(/^--fec-roots\[.*\]:\w+:_files$/m);
      expect(options.stdout).to.match(/^1:what:\(format verify dump repair table size\)$/m);
    })();
  });

  it(
    'another shell, or none, is refused',
    inFolder((folder) => {
      for (const [args, got] of [
        [[], ''],
        [['fish'], 'fish'],
        [['bash', 'zsh'], 'bash zsh'],
      ] as const) {
        const { status, stdout, stderr } = dmalg(folder, ['completion', ...args]);
        expect(status).to.equal(1);
        expect(stdout.length).to.equal(0);
        expect(stderr).to.equal(`dmalg: expected a shell (bash, zsh), got '${got}'\n`);
      }
    }),
  );
});

describe('dmalg man', function () {
  this.timeout(120_000);

  it('as the page of the package man has nothing to say against it', function () {
    needPrograms(this, { man: 'man-db' });
    return inFolder((folder) => {
      const { man, files } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
      expect(files.map((file: string) => `./${file}`)).to.include(man);
      const page = join(folder, basename(man));
      writeFileSync(page, dmalg(folder, ['man']).stdout);
      const { stdout, stderr, status } = spawnSync('man', ['--warnings', '-E', 'UTF-8', '-l', page], {
        encoding: 'utf8',
        env: { ...process.env, MANROFFOPT: '-ww', MANPAGER: 'cat' },
      });
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(stdout).to.match(/^DMALG\(1\) +User Commands +DMALG\(1\)$/m);
    })();
  });

  it('has every command and every option, and troff has nothing to say against it', function () {
    needPrograms(this, { groff: 'groff-base' });
    return inFolder((folder) => {
      const page = dmalg(folder, ['man']);
      expect(page.status).to.equal(0);
      const { stdout, stderr, status } = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-P-cbou'], {
        input: page.stdout,
        encoding: 'utf8',
      });
      expect(status, stderr).to.equal(0);
      expect(stderr).to.equal('');
      const overview = dmalg(folder, ['--help']).stdout.toString();
      const names = [...overview.matchAll(/^ {2}(\w+) /gm)].map(([, name]) => name!);
      expect(names).to.include.members(['verity', 'serve', 'lab', 'man']);
      for (const name of names) {
        expect(stdout).to.match(new RegExp(`^${name.toUpperCase()}$`, 'm'));
        const help = dmalg(folder, [name, '--help']).stdout.toString();
        for (const [option] of help.matchAll(/--[a-z][a-z-]+/g)) expect(stdout, name).to.contain(option);
      }
      // Lines of a table stay lines of a table.
      expect(stdout).to.match(/^ {7} {2}linear <dev> <offset> {21}the sectors of another device$/m);
    })();
  });
});
