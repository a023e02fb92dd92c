import { copyFileSync, existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { client, nbdsh, Serving } from '../support/nbd-serve.js';
import { needPrograms } from '../support/need-programs.js';
import { randomBytes } from '../support/random-bytes.js';
import { VerityTestImage } from '../support/verity-image.js';
import { dmalg, inFolder } from './run.js';

const key = randomBytes('key', 64).toString('hex');
const mebibyte = 2 ** 20;

describe('dmalg serve, to other programs', function () {
  this.timeout(600_000);
  before(function () {
    needPrograms(this, {
      nbdinfo: 'libnbd-bin',
      nbdcopy: 'libnbd-bin',
      nbdsh: 'python3-libnbd',
      'qemu-img': 'qemu-utils',
      'qemu-io': 'qemu-utils',
      fio: 'fio',
    });
  });

  afterEach(() => Serving.killAll());

  it(
    'nbdinfo and qemu-img see what an export is; several have names',
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'image'), Buffer.alloc(mebibyte));
      const tables = ['--table', '0 2048 linear image 0', '--table', 'zero=0 8 zero', '--table', 'a/b=0 16 zero'];
      const server = await Serving.start(folder, [...tables, '--socket', 'socket']);
      const uri = `nbd+unix:///?socket=${folder}/socket`;
      expect(server.uris).to.deep.equal([uri, uri.replace('?', 'zero?'), uri.replace('?', 'a%2Fb?')]);
      const info = JSON.parse(client(folder, 'nbdinfo', ['--json', uri]).output);
      expect(info).to.include({ protocol: 'newstyle-fixed', TLS: false, structured: true });
      expect(info.exports[0]).to.include({
        'export-name': '',
        'export-size': mebibyte,
        is_read_only: false,
        can_df: true,
        can_flush: true,
        can_fua: true,
        can_multi_conn: true,
        can_trim: true,
        can_zero: true,
        can_cache: false,
        block_size_minimum: 1,
        block_size_preferred: 4096,
        block_size_maximum: 32 * mebibyte,
      });
      const list = JSON.parse(client(folder, 'nbdinfo', ['--list', '--json', uri]).output);
      const sizes = list.exports.map((each: Record<string, unknown>) => [each['export-name'], each['export-size']]);
      expect(sizes).to.deep.equal([
        ['', mebibyte],
        ['zero', 4096],
        ['a/b', 8192],
      ]);
      const qemu = client(folder, 'qemu-img', ['info', '--output=json', server.uris[2]!]);
      expect(JSON.parse(qemu.output)).to.include({ 'virtual-size': 8192, format: 'raw' });
      const absent = client(folder, 'nbdinfo', [uri.replace('?', 'absent?')]);
      expect(absent.status).to.equal(1);
      expect(absent.output).to.contain('No such file or directory for export: absent');
      expect(await server.stop()).to.equal(0);
      expect(server.stderr).to.equal('');
    }),
  );

  it(
    'nbdcopy writes a crypt export, and dm read gives the same bytes',
    inFolder(async (folder) => {
      const size = 5 * mebibyte;
      const data = randomBytes('plain', size);
      writeFileSync(join(folder, 'plain'), data);
      writeFileSync(join(folder, 'disk'), Buffer.alloc(size));
      const line = `0 ${size / 512} crypt aes-xts-plain64 ${key} 0 disk 0 1 sector_size:4096`;
      writeFileSync(join(folder, 'table'), line);
      const server = await Serving.start(folder, ['--table', '@table', '--port', '0']);
      expect(server.uri).to.match(/^nbd:\/\/127\.0\.0\.1:\d+\/$/);
      const options = ['--flush', '--requests=16', '--request-size=262144'];
      expect(client(folder, 'nbdcopy', [...options, 'plain', server.uri])).to.deep.equal({ status: 0, output: '' });
      expect(client(folder, 'nbdcopy', [server.uri, 'back'])).to.deep.equal({ status: 0, output: '' });
      expect(await server.stop()).to.equal(0);
      expect(readFileSync(join(folder, 'back')).equals(data)).to.equal(true);
      expect(readFileSync(join(folder, 'disk')).equals(data)).to.equal(false);
      expect(dmalg(folder, ['dm', 'read', '--table', '@table']).stdout.equals(data)).to.equal(true);
    }),
  );

  it(
    'qemu-io reads back what it has written anywhere, zeroes and discards included',
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'image'), Buffer.alloc(4 * mebibyte, 1));
      const server = await Serving.start(folder, ['--table', '0 8192 linear image 0', '--socket', 'socket']);
      const commands = ['write -P 7 1000 500000', 'write -z 200000 100000', 'write -f -P 9 700001 1', 'flush'];
      const checks = ['read -P 1 0 1000', 'read -P 7 1000 199000', 'read -P 0 200000 100000', 'read -P 9 700001 1'];
      const last = ['discard 1M 1M', 'read -P 0 1M 1M', 'read -P 1 2M 2M'];
      const args = [...commands, ...checks, ...last].flatMap((command) => ['-c', command]);
      const { status, output } = client(folder, 'qemu-io', ['-f', 'raw', ...args, server.uri]);
      expect({ status, failed: output.includes('fail') }, output).to.deep.equal({ status: 0, failed: false });
      expect(await server.stop()).to.equal(0);
      const bytes = readFileSync(join(folder, 'image'));
      expect([bytes[999], bytes[1000], bytes[200000], bytes[300000], bytes[700001]]).to.deep.equal([1, 7, 0, 7, 9]);
    }),
  );

  it(
    'holes are told, and zeroes make some where the client does not mind',
    inFolder(async (folder) => {
      const image = join(folder, 'image');
      writeFileSync(image, Buffer.alloc(mebibyte, 3));
      truncateSync(image, 2 * mebibyte);
      const crypt = `crypt=0 4096 crypt aes-xts-plain64 ${key} 0 image 0`;
      const server = await Serving.start(folder, [
        '--table',
        '0 4096 linear image 0',
        '--table',
        crypt,
        '--socket',
        'socket',
      ]);
      const map = (uri: string) =>
        JSON.parse(client(folder, 'nbdinfo', ['--map', '--json', uri]).output).map(
          ({ offset, length, type }: Record<string, number>) => [offset, length, type],
        );
      expect(map(server.uri)).to.deep.equal([
        [0, mebibyte, 0],
        [mebibyte, mebibyte, 3],
      ]);
      expect(map(server.uris[1]!), 'ciphertext has no holes').to.deep.equal([[0, 2 * mebibyte, 0]]);
      const zero = (flags: string) =>
        nbdsh(folder, [`h.connect_uri("${server.uri}")`, `h.zero(100000, 400000${flags}); h.flush()`]);
      expect(zero(', nbd.CMD_FLAG_NO_HOLE').output).to.equal('');
      const full = statSync(image).blocks;
      expect(zero('').output).to.equal('');
      const expected = Buffer.alloc(2 * mebibyte)
        .fill(3, 0, mebibyte)
        .fill(0, 400_000, 500_000);
      expect(readFileSync(image).equals(expected)).to.equal(true);
      // Whole blocks of the file system.
      expect((full - statSync(image).blocks) * 512).to.be.within(90_000, 100_000);
      expect(map(server.uri)).to.have.lengthOf(4);
      const copy = client(folder, 'qemu-img', ['convert', '-O', 'raw', server.uri, 'copy']);
      expect(copy.status, copy.output).to.equal(0);
      expect(readFileSync(join(folder, 'copy')).equals(expected)).to.equal(true);
      expect(await server.stop()).to.equal(0);
    }),
  );

  it(
    'libnbd: many requests in flight, flags, block status, and the errors of the protocol',
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'image'), Buffer.alloc(mebibyte, 3));
      const tables = ['--table', '0 2048 linear image 0', '--table', 'ro=0 8 zero\n8 8 error'];
      const server = await Serving.start(folder, [...tables, '--socket', 'socket']);
      const script = [
        'import errno',
        'h.set_strict_mode(0)',
        'h.add_meta_context("base:allocation")',
        `h.connect_uri("${server.uri}")`,
        'def error(call, *args):\n  try: call(*args); return 0\n  except nbd.Error as e: return errno.errorcode[e.errnum]',
        'buffers = [nbd.Buffer(8192) for _ in range(300)]',
        'cookies = [h.aio_pread(b, i * 1001) for i, b in enumerate(buffers)]',
        'while h.aio_in_flight(): h.poll(-1)',
        'print(all(h.aio_command_completed(c) for c in cookies), all(b.to_bytearray() == bytes([3]) * 8192 for b in buffers))',
        'extents = []',
        'h.block_status(4096, 512, lambda name, at, entries, e: extents.append((name, at, list(entries))))',
        'print(extents)',
        'h.pwrite(b"x" * 10, 5, nbd.CMD_FLAG_FUA); h.zero(3, 6); h.zero(0, 0); h.trim(2**20, 0, nbd.CMD_FLAG_FUA); h.flush()',
        'print(h.pread(0, 5), h.pread(1, 2**20 - 1), h.pread(5, 7, nbd.CMD_FLAG_DF))',
        'print(error(h.pread, 512, 2**20), error(h.pwrite, b"x", 2**20), error(h.zero, 2, 2**20 - 1), error(h.trim, 2, 2**20 - 1))',
        'print(error(h.pread, 2**25 + 512, 0), error(h.pwrite, b"x", 0, nbd.CMD_FLAG_NO_HOLE), error(h.cache, 1, 0))',
        'print(error(h.zero, 512, 0, nbd.CMD_FLAG_FAST_ZERO), error(h.pread, 2**25 - 1, 2**60), h.pread(1, 99))',
        'bad = nbd.NBD(); bad.connect_uri(h.get_uri().replace("/?", "/ro?"))',
        'print(error(bad.pread, 4097, 0), bad.pread(4096, 0) == bytes(4096), error(bad.pwrite, b"x", 0), error(bad.pwrite, b"x", 5000))',
      ];
      const { status, output } = nbdsh(folder, script);
      expect(status, output).to.equal(0);
      expect(output.trimEnd().split('\n')).to.deep.equal([
        'True True',
        "[('base:allocation', 512, [4096, 0])]",
        "bytearray(b'') bytearray(b'\\x00') bytearray(b'\\x00\\x00\\x00\\x00\\x00')",
        'EINVAL ENOSPC ENOSPC EINVAL',
        'EINVAL EINVAL EINVAL',
        "EINVAL EINVAL bytearray(b'\\x00')",
        'EIO True 0 EIO',
      ]);
      expect(await server.stop()).to.equal(0);
      expect(server.stderr).to.contain("dmalg: export 'ro': EIO: read failed at sectors 8+1\n");
    }),
  );

  it(
    'fio writes at random with sixteen in flight, and finds what it wrote',
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'disk'), Buffer.alloc(4 * mebibyte));
      const line = `0 8192 crypt aes-xts-plain64 ${key} 0 disk 0`;
      const server = await Serving.start(folder, ['--table', line, '--socket', 'socket']);
      const job = [
        '--name=job',
        '--ioengine=nbd',
        `--uri=${server.uri}`,
        '--rw=randwrite',
        '--bs=512-16k',
        '--iodepth=16',
      ];
      const { status, output } = client(folder, 'fio', [...job, '--bs_unaligned=0', '--size=4m', '--verify=crc32c']);
      expect(status, output).to.equal(0);
      expect(output).to.match(/err= 0/);
      expect(await server.stop()).to.equal(0);
    }),
  );

  it(
    'a block that fails verification is EIO, and the log says which; the others can be read, and nothing written',
    inFolder(async (folder) => {
      const image = await VerityTestImage.make(folder, { blocks: 20 });
      image.spoil('data', 7);
      const server = await Serving.start(folder, ['--table', `image=${image.line()}`, '--socket', 'socket']);
      const copy = client(folder, 'nbdcopy', [server.uri, 'copy']);
      expect(copy.status).to.equal(1);
      expect(copy.output).to.contain('Input/output error');
      const reads = 'print(h.pread(7*4096, 0) + h.pread(12*4096, 8*4096) == open("good", "rb").read())';
      const right = Buffer.concat([image.bytes.subarray(0, 7 * 4096), image.bytes.subarray(8 * 4096)]);
      writeFileSync(join(folder, 'good'), right);
      const python = ['h.set_strict_mode(0)', `h.connect_uri("${server.uri}")`, 'print(h.is_read_only())', reads];
      const write = 'try: h.pwrite(b"x", 0)\nexcept nbd.Error as e: print(e.errnum)';
      expect(nbdsh(folder, [...python, write]).output).to.equal('True\nTrue\n1\n');
      expect(await server.stop()).to.equal(0);
      expect(server.stderr).to.contain("dmalg: export 'image': data block 7 is corrupted\n");
      expect(server.stderr).to.match(/dmalg: export 'image': reads of bad blocks: \d+ corrupted\n$/);
    }),
  );

  it(
    'FEC mends what a client reads, and the log says so',
    inFolder(async (folder) => {
      const image = await VerityTestImage.make(folder, { blocks: 20, roots: 2 });
      image.spoil('data', 7);
      const server = await Serving.start(folder, ['--table', image.line(), '--socket', 'socket']);
      expect(client(folder, 'nbdcopy', [server.uri, 'copy'])).to.deep.equal({ status: 0, output: '' });
      expect(await server.stop()).to.equal(0);
      expect(readFileSync(join(folder, 'copy')).equals(image.bytes)).to.equal(true);
      expect(server.stderr).to.equal('dmalg: data block 7 is corrected\ndmalg: reads of bad blocks: 1 corrected\n');
    }),
  );

  it(
    'SIGTERM lets requests in flight be answered, takes no more, and SIGHUP changes nothing',
    inFolder(async (folder) => {
      const server = await Serving.start(folder, [
        '--table',
        '0 8 delay ram:4096 0 1500\n8 8 zero',
        '--socket',
        'socket',
      ]);
      server.child.kill('SIGHUP');
      const script = [
        'import os, signal',
        `h.connect_uri("${server.uri}")`,
        'slow = nbd.Buffer(4096); cookie = h.aio_pread(slow, 0)',
        // What was sent after it has been answered: the server has got it.
        'print(h.pread(512, 4096) == bytes(512), h.aio_command_completed(cookie))',
        `os.kill(${server.child.pid}, signal.SIGTERM)`,
        'while not h.aio_command_completed(cookie): h.poll(-1)',
        'print(slow.to_bytearray() == bytes(4096))',
        'try: h.pread(512, 4096); print("served")\nexcept nbd.Error: print("over")',
      ];
      const closed = new Promise((resolve) => server.child.once('close', resolve));
      const { status, output } = nbdsh(folder, script);
      expect({ status, output }).to.deep.equal({ status: 0, output: 'True False\nTrue\nover\n' });
      expect(await closed).to.equal(0);
      expect(existsSync(join(folder, 'socket'))).to.equal(false);
    }),
  );

  it(
    "a dead server's socket is replaced; a living one's is status 5, and so is a file that is no socket",
    inFolder(async (folder) => {
      const args = ['--table', '0 8 zero', '--socket', 'socket'];
      const first = await Serving.start(folder, args);
      const busy = dmalg(folder, ['serve', ...args]);
      expect(busy.status).to.equal(5);
      expect(busy.stderr).to.contain('address already in use socket; is another server running?');
      await first.stop('SIGKILL');
      expect(existsSync(join(folder, 'socket'))).to.equal(true);
      const second = await Serving.start(folder, args);
      expect(client(folder, 'nbdinfo', ['--size', second.uri])).to.deep.equal({ status: 0, output: '4096\n' });
      expect(await second.stop('SIGINT')).to.equal(0);
      expect(existsSync(join(folder, 'socket'))).to.equal(false);
      copyFileSync(process.execPath, join(folder, 'socket'));
      expect(dmalg(folder, ['serve', ...args]).status).to.equal(5);
      expect(existsSync(join(folder, 'socket'))).to.equal(true);
    }),
  );

  it(
    'takes listening sockets of the service manager',
    inFolder(async (folder) => {
      const path = join(folder, 'socket');
      // What systemd does: the socket as descriptor 3, and the process told by its number that it is meant.
      const manager = [
        'import os, socket, sys',
        's = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()',
        'os.dup2(s.fileno(), 3); os.set_inheritable(3, True)',
        'os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))',
        'os.execvp(sys.argv[2], sys.argv[2:])',
      ].join('\n');
      const program = new URL('../../lib/cli/main.js', import.meta.url).pathname;
      const command = ['/usr/bin/python3', '-c', manager, path, process.execPath, program];
      const server = await Serving.start(folder, ['--table', '0 8 zero'], command);
      expect(server.uri).to.equal(`nbd+unix:///?socket=${path}`);
      expect(client(folder, 'nbdinfo', ['--size', server.uri])).to.deep.equal({ status: 0, output: '4096\n' });
      expect(await server.stop()).to.equal(0);
      // It is the manager's.
      expect(existsSync(path)).to.equal(true);
    }),
  );

  it(
    'storages are served as they are, each under its name; one that cannot be written is read-only',
    inFolder(async (folder) => {
      const data = randomBytes('data', mebibyte);
      writeFileSync(join(folder, 'disk'), data);
      writeFileSync(join(folder, 'a=b c'), Buffer.concat([data.subarray(0, 4096), Buffer.alloc(100)]));
      const inner = await Serving.start(folder, ['--read-only', 'disk', '--socket', 'inner']);
      const names = ['disk', 'my file=./a=b c', 'memory=ram:8192', `far=${inner.uri}`];
      const server = await Serving.start(folder, [...names, '--table', 'zero=0 8 zero', '--socket', 'socket']);
      expect(server.uris.map((uri) => decodeURIComponent(new URL(uri).pathname))).to.deep.equal([
        '/zero',
        '/',
        '/my file',
        '/memory',
        '/far',
      ]);
      const info = (uri: string) => JSON.parse(client(folder, 'nbdinfo', ['--json', uri]).output).exports[0];
      expect(server.uris.map(info).map((each) => [each['export-size'], each.is_read_only])).to.deep.equal([
        [4096, false],
        [mebibyte, false],
        [4096, false],
        [8192, false],
        [mebibyte, true],
      ]);
      for (const uri of [server.uris[1]!, server.uris[4]!]) {
        expect(client(folder, 'nbdcopy', [uri, 'copy'])).to.deep.equal({ status: 0, output: '' });
        expect(readFileSync(join(folder, 'copy')).equals(data)).to.equal(true);
      }
      const write = [`h.connect_uri("${server.uris[2]}")`, 'h.pwrite(b"new", 4093); h.flush()'];
      expect(nbdsh(folder, write)).to.deep.equal({ status: 0, output: '' });
      expect(await server.stop()).to.equal(0);
      expect(readFileSync(join(folder, 'a=b c')).subarray(4090, 4098).toString('latin1')).to.equal(
        `${data.subarray(4090, 4093).toString('latin1')}new\0\0`,
      );
      expect(server.stderr.split('\n')).to.deep.equal([
        "dmalg: export 'my file': warning: the last 100 bytes of ./a=b c are no whole sector, and are not served",
        `dmalg: export 'far': ${inner.uri} cannot be written (EROFS): it is served read-only`,
        '',
      ]);
      expect(await inner.stop()).to.equal(0);
    }),
  );

  const wrong: [args: string[], status: number, words: string][] = [
    [[], 1, '--socket, --port, --run or - is missing'],
    [['--socket', 'socket'], 1, 'STORAGE or --table is missing'],
    [['ram:8k', 'ram:4k', '--socket', 's'], 1, "two exports are called ''"],
    [['a=ram:4096', '--table', 'a=0 8 zero', '--socket', 's'], 1, "two exports are called 'a'"],
    [['absent', '--socket', 's'], 4, "'absent'"],
    [['a=absent', '--socket', 's'], 4, "'absent'"],
    [['./a=b', '--socket', 's'], 4, "'./a=b'"],
    [['ram:100', '--socket', 's'], 1, 'ram: and a multiple of 512 bytes'],
    [['nbd+unix:///x?socket=none', '--socket', 's'], 4, 'none'],
    [['.', '--socket', 's'], 4, 'EISDIR'],
    [['--table', '0 8 zero', '--socket', 's', '--port', '1'], 1, 'expected one of them, got both'],
    [['--table', '0 8 zero', '--port', '65536'], 1, '--port: expected a whole number from 0 to 65535'],
    [['--table', '0 8 zero', '--socket', 'x'.repeat(108)], 1, '--socket: expected a path of 1 to 107 bytes, got 108'],
    [['--table', '0 8 zero', '--table', '0 16 zero', '--socket', 's'], 1, "two exports are called ''"],
    [['--table', 'a=0 8 zero', '--table', 'a=0 16 zero', '--socket', 's'], 1, "two exports are called 'a'"],
    [['--table', '0 8 nothing', '--socket', 's'], 1, 'unknown target type'],
    [['--table', 'a', '--socket', 's'], 1, 'Invalid format'],
    [['--table', 'a=@absent', '--socket', 's'], 4, 'ENOENT'],
    [['--table', '0 8 linear absent 0', '--socket', 's'], 4, 'Device lookup failed'],
    [['--table', '0 8 zero', '--socket', 'absent/s'], 4, 'absent/s'],
    [['--table', '0 8 zero', '--socket', 's', '--tls', 'require'], 1, '--tls-certs or --tls-psk is missing'],
    [['--table', '0 8 zero', '--socket', 's', '--tls', 'maybe'], 1, '--tls: expected off, allow, require'],
    [['--table', '0 8 zero', '--socket', 's', '--tls-certs', 'absent'], 4, 'absent/ca-cert.pem'],
    [['--table', '0 8 zero', '--socket', 's', '--tls-psk', 'table'], 4, 'table, line 1: expected user:key'],
    [['--table', '0 8 zero', '--socket', 's', '--memory', '31'], 1, '--memory: expected a whole number from 32'],
  ];
  for (const [args, status, words] of wrong)
    it(
      `refuses ${args.join(' ').slice(0, 60) || 'no options'}`,
      inFolder((folder) => {
        writeFileSync(join(folder, 'table'), '0 8 zero');
        const said = dmalg(folder, ['serve', ...args]);
        expect(said.status).to.equal(status);
        expect(said.stderr).to.contain(words);
        expect(said.stderr.trimEnd().split('\n')).to.have.length(1);
      }),
    );

  it(
    'a name is no part of a line, whatever files are called',
    inFolder(async (folder) => {
      writeFileSync(join(folder, 'a=b'), Buffer.alloc(4096));
      writeFileSync(join(folder, 'c=d'), '# e=f\n0 8 linear a=b 0');
      const named = ['x=@c=d', 'y=# z=\n0 8 zero', 'my disk=0 8 zero', '2 disks=0 8 linear a=b 0', 'größe: 1=0 8 zero'];
      const tables = [' 0 8 linear a=b 0', ...named].flatMap((table) => ['--table', table]);
      const server = await Serving.start(folder, [...tables, '--socket', 'socket']);
      const names = server.uris.map((uri) => new URL(uri).pathname);
      expect(names.map(decodeURIComponent)).to.deep.equal(['/', '/x', '/y', '/my disk', '/2 disks', '/größe: 1']);
      expect(client(folder, 'nbdinfo', ['--size', server.uris[3]!])).to.deep.equal({ status: 0, output: '4096\n' });
      expect(await server.stop()).to.equal(0);
    }),
  );
});
