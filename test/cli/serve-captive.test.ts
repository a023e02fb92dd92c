import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { client, nbdsh, Serving } from '../support/nbd-serve.js';
import { needPrograms } from '../support/need-programs.js';
import { inFolder } from './run.js';

const program = new URL('../../lib/cli/main.js', import.meta.url).pathname;
const table = ['--table', '0 16 linear disk 0'];
const ours = (...args: string[]) => [process.execPath, program, 'serve', ...table, ...args];
const nbdkit = (...args: string[]) => ['nbdkit', 'file', 'disk', ...args];

/** Runs a server to its end. */
function outcome(folder: string, [command, ...args]: string[], input = ''): { status: number | null; stdout: string } {
  const { status, stdout, error } = spawnSync(command!, args, {
    cwd: folder,
    encoding: 'utf8',
    input,
    timeout: 60_000,
  });
  if (error) throw error;
  return { status, stdout };
}

/** A client in Python that talks through two pipes: it reads 100 bytes many times over without reading replies in between. */
const overPipes = `
import struct, subprocess, sys
p = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
p.stdout.read(18)
p.stdin.write(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 1, 0)); p.stdin.flush()
print(struct.unpack(">QH", p.stdout.read(10))[0])
for i in range(2000): p.stdin.write(struct.pack(">IHHQQI", 0x25609513, 0, 0, i, 0, 100)); p.stdin.flush()
print(sum(p.stdout.read(116)[16:] == bytes([7]) * 100 for i in range(2000)))
p.stdin.write(struct.pack(">IHHQQI", 0x25609513, 0, 2, 1, 0, 0)); p.stdin.flush()
print(p.stdout.read(), p.wait())
`;

describe('dmalg serve as a captive of a command or a client, beside nbdkit', function () {
  this.timeout(600_000);
  before(function () {
    needPrograms(this, { nbdkit: 'nbdkit', nbdinfo: 'libnbd-bin', nbdsh: 'python3-libnbd' });
  });
  afterEach(() => Serving.killAll());

  const test = (title: string, body: (folder: string) => Promise<void>) =>
    it(
      title,
      inFolder(async (folder) => {
        writeFileSync(join(folder, 'disk'), Buffer.alloc(8192, 7));
        await body(folder);
      }),
    );

  const commands: [command: string, status: number][] = [
    ['nbdinfo --size "$uri"', 0],
    ['nbdinfo --size "nbd+unix:///?socket=$unixsocket"; test -z "$port"; exit 7', 7],
    ['kill -9 $$', 137],
    ['kill -TERM $$', 143],
    ['read line; echo "got $line"', 0],
    ['false', 1],
    ['no-such-command-anywhere', 127],
  ];
  for (const [command, status] of commands)
    test(`--run '${command}' ends with ${status}`, async (folder) => {
      const [mine, theirs] = [ours, nbdkit].map((server) =>
        outcome(folder, server(server === ours ? '--socket' : '-U', 'socket', '--run', command), 'words\n'),
      );
      expect(mine).to.deep.equal(theirs);
      expect(mine!.status).to.equal(status);
    });

  test('--run alone has a socket that is gone afterwards; with --port there is $port', async (folder) => {
    const sockets = () => readdirSync(tmpdir()).filter((name) => name.startsWith('dmalg-serve-'));
    const before = sockets();
    const { status, stdout } = outcome(
      folder,
      ours('--run', 'stat -c %a "$(dirname $unixsocket)"; nbdinfo --size $uri'),
    );
    expect({ status, stdout }).to.deep.equal({ status: 0, stdout: '700\n8192\n' });
    expect(sockets()).to.deep.equal(before);
    const tcp = outcome(folder, ours('--port', '0', '--run', 'nbdinfo --size "nbd://localhost:$port/$exportname"'));
    expect(tcp).to.deep.equal({ status: 0, stdout: '8192\n' });
  });

  test('--pidfile is there when clients can come, and stays', async (folder) => {
    const read = 'cat pid; test "$(cat /proc/$(cat pid)/comm)" != sh';
    for (const server of [ours, nbdkit]) {
      const { status, stdout } = outcome(folder, server('--pidfile', 'pid', '--run', read));
      expect(status).to.equal(0);
      expect(stdout).to.match(/^[1-9]\d*\n$/);
      expect(readFileSync(join(folder, 'pid'), 'utf8')).to.equal(stdout);
    }
    expect(outcome(folder, ours('--pidfile', 'absent/pid', '--run', 'true')).status).to.equal(4);
  });

  test('--exit-with-parent: the server ends when the shell that has started it ends', async (folder) => {
    // What the server leaves when it ends by a signal that it has heard: no socket.
    const script = '"$@" >ready & until [ -s ready ]; do sleep 0.01; done; echo up; read line';
    const args = ours('--socket', 'socket', '--exit-with-parent');
    const shell = spawn('/bin/sh', ['-c', script, 'sh', ...args], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
    await once(shell.stdout!, 'data');
    expect(existsSync(join(folder, 'socket'))).to.equal(true);
    const names = watch(folder);
    shell.stdin!.end('\n');
    while (existsSync(join(folder, 'socket'))) await once(names, 'change');
    names.close();
  });

  for (const server of [
    ['nbdkit', '-s', 'file', 'disk'],
    [process.execPath, program, 'serve', ...table, '-'],
  ])
    test(`${server[0] === 'nbdkit' ? 'nbdkit -s' : 'dmalg serve -'}: one client on stdin and stdout`, async (folder) => {
      const socket = nbdsh(folder, [
        `h.connect_command(${JSON.stringify(server)})`,
        'print(h.get_size(), h.pread(3, 100)); h.pwrite(b"x", 5000); h.flush(); h.shutdown()',
      ]);
      expect(socket).to.deep.equal({ status: 0, output: "8192 bytearray(b'\\x07\\x07\\x07')\n" });
      expect(readFileSync(join(folder, 'disk'))[5000]).to.equal(0x78);
      const pipes = client(folder, '/usr/bin/python3', ['-c', overPipes, ...server]);
      expect(pipes).to.deep.equal({ status: 0, output: "8192\n2000\nb'' 0\n" });
    });

  const wrong: [args: string[], status: number, words: string][] = [
    [['-', '--socket', 's'], 1, '-: one client on stdin and stdout; leave out --socket'],
    [['-', '--run', 'true'], 1, '-: one client on stdin and stdout; leave out --socket'],
    [['-'], 4, 'stdin: expected a socket or a pipe'],
    [[], 1, '--socket, --port, --run or - is missing'],
  ];
  for (const [args, status, words] of wrong)
    test(`refuses ${args.join(' ') || 'nothing'}`, async (folder) => {
      const [command, ...rest] = ours(...args);
      const said = spawnSync(command!, rest, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
      expect([said.status, said.stderr.trimEnd().split('\n').length]).to.deep.equal([status, 1]);
      expect(said.stderr).to.contain(words);
    });
});
