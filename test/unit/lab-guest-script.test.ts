import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { guestEnvironment, guestScript, shellQuote } from '../../lib/lab/guest-script.js';

const odd = ['', ' ', "it's", '"', '$HOME `id` $(id)', 'a\nb\n', '\\', '*', '-n', 'ü€😀', '\t\x01', '!x', '#', ';&|<>'];

describe('lab: guest script', () => {
  let folder: string;
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'dmalg-test-')));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const base = { cwd: '/', env: {}, modules: '/m' };

  /** The script is POSIX shell: what it does in the guest it does here. */
  function runScript(script: string) {
    const file = join(folder, 'job.sh');
    writeFileSync(file, script);
    return spawnSync('/usr/bin/env', ['-i', '/bin/sh', file, 'run'], { encoding: 'utf8' });
  }

  it('hands over arguments and variables with any character', () => {
    const program = 'process.stdout.write(JSON.stringify([process.argv.slice(1), process.env.ODD, process.cwd()]))';
    const cwd = join(folder, "a b'c\n$d");
    mkdirSync(cwd);
    const command = [process.execPath, '-e', program, '--', ...odd];
    const result = runScript(guestScript({ ...base, command, cwd, env: { ODD: odd.join('') } }));
    expect(JSON.parse(result.stdout)).to.deep.equal([odd, odd.join(''), cwd]);
  });

  it('gives the command the variables named and no others of its own', () => {
    const result = runScript(
      guestScript({ ...base, command: ['/usr/bin/env'], env: { B: '2', A: '1', 'not%a%name': '3' } }),
    );
    const names = result.stdout.split('\n').map((line) => line.split('=')[0]);
    expect(names).to.include.members(['A', 'B']);
    expect(names.filter((name) => /lab_|not/.test(name!))).to.deep.equal([]);
  });

  it('reports 127 for a command that is not there and 126 for one that cannot be executed', () => {
    writeFileSync(join(folder, 'text'), 'text');
    expect(runScript(guestScript({ ...base, command: ['/no/such/program'] })).status).to.equal(127);
    expect(runScript(guestScript({ ...base, command: [join(folder, 'text')] })).status).to.equal(126);
  });

  it('only sets variables for init, which reads it without the argument', () => {
    const script = guestScript({ ...base, command: ['false'], modules: "/m'n", output: '/o p', cwd: '/c\nd' });
    writeFileSync(join(folder, 'job.sh'), script);
    const print = `. ${shellQuote(join(folder, 'job.sh'))}; printf '%s|' "$lab_modules" "$lab_output" "$lab_cwd"`;
    expect(spawnSync('/bin/sh', ['-c', print], { encoding: 'utf8' }).stdout).to.equal("/m'n|/o p|/c\nd|");
  });

  it('refuses a NUL', () => {
    expect(() => shellQuote('a\0b')).to.throw(RangeError, 'NUL');
  });

  it('passes on only variables that mean something in the guest', () => {
    const env = {
      PATH: '/p',
      NODE_OPTIONS: '--x',
      NODE_CHANNEL_FD: '3',
      DMALG_X: 'y',
      SSH_AUTH_SOCK: '/s',
      LC_ALL: 'C',
      UBSAN_OPTIONS: 'u',
    };
    expect(guestEnvironment(env)).to.deep.equal({
      PATH: '/p',
      NODE_OPTIONS: '--x',
      DMALG_X: 'y',
      LC_ALL: 'C',
      UBSAN_OPTIONS: 'u',
    });
  });
});
