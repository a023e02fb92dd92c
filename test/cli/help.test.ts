import { spawnSync } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { commonOptions } from '../../lib/cli/command.js';
import { allCommands } from '../../lib/cli/commands.js';
import { dmalg, inFolder } from './run.js';

const program = new URL('../../lib/cli/main.js', import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
const commands = await allCommands();
const verbs = commands.flatMap((command) =>
  Object.entries(command.verbs ?? {}).map(([name, verb]) => ({ command, name, verb, words: [command.name, name] })),
);

function text(folder: string, args: string[]) {
  const { status, stdout, stderr } = dmalg(folder, args);
  return { status, stdout: stdout.toString(), stderr };
}

describe('help', function () {
  this.timeout(300_000);

  it(
    '--version and -V',
    inFolder((folder) => {
      const expected = { status: 0, stdout: `dmalg ${manifest.version}\n`, stderr: '' };
      for (const option of ['--version', '-V']) expect(text(folder, [option])).to.deep.equal(expected);
    }),
  );

  it(
    'help, help COMMAND, help COMMAND VERB and their --help are the same, and name all options',
    inFolder((folder) => {
      expect(text(folder, ['help'])).to.deep.equal(text(folder, ['--help']));
      for (const { name } of commands) {
        const said = text(folder, ['help', name]);
        expect(said.status, said.stderr).to.equal(0);
        if (name === 'dm' || name === 'hash') expect(text(folder, [name, '--help'])).to.deep.equal(said);
      }
      for (const { words, verb } of verbs.filter(({ command }) => command.name !== 'compare')) {
        const said = text(folder, ['help', ...words]);
        expect(said.status, said.stderr).to.equal(0);
        const shown = [...said.stdout.matchAll(/^ {2}(?:-\w, )?--([\w-]+)/gm)].map(([, option]) => option);
        expect(shown.sort()).to.deep.equal([...Object.keys({ ...verb.options, ...commonOptions })].sort());
        expect(said.stdout)
          .to.match(/^Usage: dmalg /)
          .and.contain('Example:');
      }
      expect(text(folder, ['verity', 'format', '--help'])).to.deep.equal(text(folder, ['help', 'verity', 'format']));
    }),
  );

  it(
    'unknown commands and verbs: the nearest one',
    inFolder((folder) => {
      for (const [args, message] of [
        [['verty'], "dmalg: unknown command 'verty', did you mean 'verity'?; see 'dmalg --help'\n"],
        [['help', 'lukss'], "dmalg: unknown command 'lukss', did you mean 'luks'?; see 'dmalg --help'\n"],
        [['help', 'verity', 'nope'], "dmalg: help: 'nope' is no verb of verity; see 'dmalg verity --help'\n"],
        [['constructor'], "dmalg: unknown command 'constructor'; see 'dmalg --help'\n"],
      ] as const)
        expect(text(folder, [...args])).to.deep.equal({ status: 1, stdout: '', stderr: message });
    }),
  );

  it(
    'every verb refuses the options of every other, by name',
    inFolder((folder) => {
      const wrong = verbs.flatMap(({ command, name, verb, words }) =>
        Object.entries(command.options)
          .filter(([option]) => !Object.hasOwn(verb.options, option))
          .map(([option, { value }]) => ({ args: [...words, `--${option}`, ...(value ? ['1'] : [])], option, name })),
      );
      expect(wrong.length).to.be.above(50);
      // One process for all of them: what is parsed decides.
      const script = `
        import { parseInvocation } from '${new URL('../../lib/cli/command.js', import.meta.url).href}';
        import { commands } from '${new URL('../../lib/cli/commands.js', import.meta.url).href}';
        for (const { args } of ${JSON.stringify(wrong)}) {
          try {
            parseInvocation(await commands[args[0]](), args.slice(1));
            console.log('taken');
          } catch (error) {
            console.log(error.message);
          }
        }`;
      const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
      const said = stdout.trim().split('\n');
      wrong.forEach(({ args, option, name }, index) => {
        const expected = `--${option}: not an option of ${args[0]} ${name}; see 'dmalg ${args[0]} --help'`;
        expect(said[index], args.join(' ')).to.equal(expected);
      });
      const one = text(folder, ['verity', 'verify', 'a', 'b', '00', '--in-place']);
      expect([one.status, one.stderr]).to.deep.equal([
        1,
        "dmalg: --in-place: not an option of verity verify; see 'dmalg verity --help'\n",
      ]);
    }),
  );

  /** What boots a lab, measures for minutes, or wants files of an earlier run. */
  const elsewhere = /^dmalg (lab|compare|serve)\b/;
  const examples = [
    ...commands.map(({ name, example }) => ({ words: [name], example })),
    ...verbs.map(({ words, verb }) => ({ words, example: verb.example })),
  ].filter(({ example }) => example !== undefined && !elsewhere.test(example));
  for (const { words, example } of examples)
    it(
      `the example of ${words.join(' ')} works in an empty folder`,
      inFolder((folder) => {
        mkdirSync(join(folder, 'bin'));
        mkdirSync(join(folder, 'empty'));
        writeFileSync(join(folder, 'bin/dmalg'), `#!/bin/sh\nexec node '${program}' "$@"\n`, { mode: 0o755 });
        const { status, stderr } = spawnSync('bash', ['-o', 'pipefail', '-c', example!], {
          cwd: join(folder, 'empty'),
          encoding: 'utf8',
          env: { ...process.env, PATH: `${join(folder, 'bin')}:${process.env['PATH']}` },
        });
        expect(status, stderr).to.equal(0);
      }),
    );
});

describe('stdout that cannot be written', function () {
  this.timeout(300_000);
  const lines: string[][] = [
    ['--help'],
    ['--version'],
    ['help', 'verity', 'format'],
    ['man'],
    ['completion', 'bash'],
    ['completion', 'zsh'],
    ['info'],
    ['info', '--json'],
    ['dm', 'targets'],
    ['dm', 'read', '--table', '0 8192 zero'],
    ['dm', 'table', '--table', '0 8 zero'],
    ['hash', '--name', 'sha256', 'data'],
    ['verity', 'dump', 'hash'],
    ['verity', 'verify', 'data', 'hash', '--root-hash-file', 'root', '--verbose'],
    ['verity', 'size', '--data-blocks', '10'],
    ['rng', '--bytes', '100000'],
    ['crypt', 'encrypt', 'data', '-', '--cipher', 'aes-xts-plain64', '--key', '00'.repeat(31) + '11'.repeat(33)],
    ['encrypt', '--name', 'ctr(aes)', '--key', '00'.repeat(16), '--iv', '00'.repeat(16), 'data'],
  ];
  const make = (folder: string) => {
    writeFileSync(join(folder, 'data'), Buffer.alloc(1 << 20, 3));
    dmalg(folder, ['verity', 'format', 'data', 'hash', '--root-hash-file', 'root', '--salt', '00']);
  };

  it(
    'a full one: one line, status 4',
    inFolder((folder) => {
      make(folder);
      for (const args of lines) {
        const full = openSync('/dev/full', 'w');
        const { status, stderr } = spawnSync(process.execPath, [program, ...args], {
          cwd: folder,
          stdio: ['ignore', full, 'pipe'],
          encoding: 'utf8',
        });
        expect(stderr, args.join(' ')).to.match(/^dmalg: .*ENOSPC.*\n$/);
        expect(status, args.join(' ')).to.equal(4);
      }
    }),
  );

  it(
    'one whose reader has gone: nothing is said, and the status is that of SIGPIPE',
    inFolder((folder) => {
      make(folder);
      for (const args of lines) {
        const words = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ');
        // The one reader has opened the pipe, and ended, before anything is written.
        const script = `mkfifo pipe; true < pipe & exec 4> pipe; wait; ${words} >&4; echo $?; rm pipe`;
        const { stdout, stderr } = spawnSync('bash', ['-c', script], { cwd: folder, encoding: 'utf8' });
        expect(stderr, args.join(' ')).to.equal('');
        expect(stdout, args.join(' ')).to.equal('141\n');
      }
    }),
  );
});

describe('keys in messages of the command line', () => {
  const key = 'ab'.repeat(32);
  const cases: [args: string[], shown: RegExp, hidden: boolean][] = [
    [['hash', '--name', key], /library <64 hex digits>: ENOENT/, true],
    [['dm', 'table', '--table', `0 8 crypt ${key} aes-xts-plain64 0 ram:4096 0`], /Error decoding/, true],
    [['crypt', 'encrypt', key, key, '--cipher', 'x'], /./, true],
    [[key], /unknown command '<64 hex digits>'/, true],
    [['rng', '--bytes', '99999999999999999999'], /from 0 to 9007199254740991, got '99999999999999999999'/, false],
    [['dm', 'read', '--table', '0 8 zero', '--offset', '1234567890123456789'], /got '1234567890123456789'/, false],
  ];
  for (const [args, shown, hidden] of cases)
    it(
      args.join(' ').replaceAll(key, 'KEY'),
      inFolder((folder) => {
        const { stderr } = text(folder, args);
        expect(stderr).to.match(shown);
        if (hidden) expect(stderr).not.to.contain(key);
      }),
    );
});
