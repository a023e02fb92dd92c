import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readFileSync, readSync, truncateSync, watch, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import type { DeviceError } from '../../lib/dm/device-error.js';
import { openTable } from '../../lib/dm/open-table.js';
import { NbdTool } from '../support/nbd-tool.js';
import { needPrograms } from '../support/need-programs.js';
import { randomBytes } from '../support/random-bytes.js';
import { dmalg, inFolder, startDmalg } from './run.js';

const mebibyte = 1 << 20;
const size = 4 * mebibyte;
const key = Buffer.from(Array.from({ length: 64 }, (_, index) => index)).toString('hex');

const crypt = (device: string) => `0 ${size / 512} crypt aes-xts-plain64 ${key} 0 ${device} 0`;
const linear = (device: string, bytes = size) => `0 ${bytes / 512} linear ${device} 0`;

function emptyFile(path: string): string {
  writeFileSync(path, '');
  truncateSync(path, size);
  return path;
}

describe('a device behind NBD', function () {
  this.timeout(600_000);
  before(function () {
    needPrograms(this, { nbdkit: 'nbdkit', 'qemu-nbd': 'qemu-utils', openssl: 'openssl' });
  });

  const servers: [title: string, tool: 'nbdkit' | 'qemu-nbd', args: string[]][] = [
    ['nbdkit', 'nbdkit', ['file', 'served']],
    [
      'nbdkit with blocks of 4096 to 65536 bytes',
      'nbdkit',
      [
        ...['--filter=blocksize-policy', 'file', 'served', 'blocksize-minimum=4096', 'blocksize-preferred=4096'],
        ...['blocksize-maximum=65536', 'blocksize-error-policy=error'],
      ],
    ],
    ['qemu-nbd', 'qemu-nbd', ['-f', 'raw', '--discard=unmap', 'served']],
  ];
  for (const [title, tool, args] of servers)
    it(
      `${title}: has the bytes that a file would have`,
      inFolder(async (folder) => {
        const [served, image] = [emptyFile(join(folder, 'served')), emptyFile(join(folder, 'image'))];
        await using server = await NbdTool.start(folder, tool, args);
        const data = randomBytes('nbd', size - 5000);
        for (const device of [server.uri, 'image']) {
          const write = dmalg(folder, ['dm', 'write', '--table', crypt(device), '--offset', '777'], data);
          expect(write).to.deep.include({ status: 0, stderr: '' });
          const read = ['dm', 'read', '--table', crypt(device), '--offset', '777', '--length', String(data.length)];
          expect(dmalg(folder, read).stdout.equals(data)).to.equal(true);
        }
        expect(readFileSync(served).equals(readFileSync(image))).to.equal(true);
      }),
    );

  it(
    'a verity line reads its data and its tree from there',
    inFolder(async (folder) => {
      const data = randomBytes('nbd', mebibyte);
      writeFileSync(join(folder, 'data'), data);
      const format = dmalg(folder, ['verity', 'format', 'data', 'hash', '--root-hash-file', 'root', '--salt', '-']);
      expect(format.status).to.equal(0);
      const root = readFileSync(join(folder, 'root'), 'utf8').trim();
      await using server = await NbdTool.start(folder, 'nbdkit', ['-r', 'file', 'dir=.']);
      const [dataUri, hashUri] = ['data', 'hash'].map((name) => server.uri.replace('/?', `/${name}?`));
      const line = `0 2048 verity 1 ${dataUri} ${hashUri} 4096 4096 256 1 sha256 ${root} -`;
      expect(dmalg(folder, ['dm', 'read', '--table', line]).stdout.equals(data)).to.equal(true);
      const other = line.replace(
        root,
        root.replace(/^../, (digits) => (digits === '00' ? '01' : '00')),
      );
      expect(dmalg(folder, ['dm', 'read', '--table', other]).status).to.equal(2);
    }),
  );

  it(
    'errors of the server are errors of the sectors that they are about',
    inFolder(async (folder) => {
      const args = [
        '--filter=error',
        'memory',
        String(size),
        'error-pread=EIO',
        'error-pwrite=ENOSPC',
        'error-rate=100%',
      ];
      await using server = await NbdTool.start(folder, 'nbdkit', args);
      const read = dmalg(folder, ['dm', 'read', '--table', linear(server.uri), '--length', '4096']);
      expect(read.status).to.equal(4);
      expect(read.stderr).to.include('dmalg: EIO: read failed at sectors 0+8; EIO: the server has answered');
      const write = dmalg(folder, ['dm', 'write', '--table', linear(server.uri)], Buffer.alloc(4096));
      expect(write.status).to.equal(4);
      expect(write.stderr).to.include('dmalg: ENOSPC: write failed at sectors 0+8; ENOSPC: the server has answered');
    }),
  );

  it(
    'a bad sector fails alone',
    inFolder(async (folder) => {
      const bad =
        'if [ $4 -eq 32768 ]; then echo EIO bad >&2; exit 1; fi; dd if=/dev/zero count=$3 iflag=count_bytes status=none';
      const args = ['eval', `get_size=echo ${size}`, `pread=${bad}`, 'block_size=echo 512 4096 32768'];
      await using server = await NbdTool.start(folder, 'nbdkit', args);
      await using device = await openTable(linear(server.uri), { readOnly: true });
      const error = (await device.read(0, 131072).catch((error) => error)) as DeviceError;
      expect(error).to.include({ code: 'EIO' });
      expect(error.failed).to.deep.equal([{ sector: 64, sectors: 64 }]);
    }),
  );

  it(
    'a read-only export is read, and not opened for writing',
    inFolder(async (folder) => {
      await using server = await NbdTool.start(folder, 'nbdkit', ['-r', 'pattern', String(size)]);
      const read = dmalg(folder, ['dm', 'read', '--table', linear(server.uri), '--length', '16']);
      expect(read.stdout.toString('hex')).to.equal('00000000000000000000000000000008');
      const write = dmalg(folder, ['dm', 'write', '--table', linear(server.uri)], 'x');
      expect(write.status).to.equal(4);
      expect(write.stderr).to.include(`'${server.uri}'); the export is read-only\n`);
    }),
  );

  it(
    'discards reach the server',
    inFolder(async (folder) => {
      const path = join(folder, 'served');
      writeFileSync(path, Buffer.alloc(size, 7), { flush: true });
      await using _server = await NbdTool.start(folder, 'nbdkit', ['file', 'served']);
      await using device = await openTable(linear(_server.uri));
      await device.discard(mebibyte, mebibyte);
      await device.flush();
      const expected = Buffer.alloc(size, 7).fill(0, mebibyte, 2 * mebibyte);
      expect(readFileSync(path).equals(expected)).to.equal(true);
    }),
  );

  it(
    'the end of the last client is one that the server hears',
    inFolder(async (folder) => {
      await using server = await NbdTool.start(folder, 'nbdkit', ['--filter=exitlast', 'memory', String(size)]);
      const exit = once(server.child, 'exit');
      expect(dmalg(folder, ['dm', 'write', '--table', linear(server.uri)], 'x').status).to.equal(0);
      expect(await exit).to.deep.equal([0, null]);
    }),
  );

  it(
    'a server that is killed and comes back has all that was written',
    inFolder(async (folder) => {
      const path = emptyFile(join(folder, 'served'));
      const args = ['--filter=delay', 'file', 'served', 'wdelay=20ms'];
      let server = await NbdTool.start(folder, 'nbdkit', args);
      const data = randomBytes('nbd', size);
      const child = startDmalg(folder, ['dm', 'write', '--table', crypt(server.uri)]);
      let stderr = '';
      child.stderr.on('data', (text) => {
        stderr += text;
      });
      const exit = once(child, 'close');
      const changes = watch(path);
      child.stdin.write(data.subarray(0, 2 * mebibyte + 4096));
      // The first bytes have come, the others are on their way, or not.
      const fd = openSync(path, 'r');
      const first = Buffer.alloc(512);
      for (;;) {
        readSync(fd, first, 0, 512, 0);
        if (first.some((byte) => byte !== 0)) break;
        await once(changes, 'change');
      }
      changes.close();
      await server.kill('SIGKILL');
      server = await NbdTool.start(folder, 'nbdkit', args);
      child.stdin.end(data.subarray(2 * mebibyte + 4096));
      expect(await exit).to.deep.equal([0, null]);
      expect(stderr).to.include(`dmalg: ${server.uri}: connected again after ENOTCONN: `);
      const back = dmalg(folder, ['dm', 'read', '--table', crypt(path)]);
      expect(back.stdout.equals(data)).to.equal(true);
      await server.kill('SIGKILL');
    }),
  );

  it(
    'one that stays away fails what waits, and says why',
    inFolder(async (folder) => {
      const server = await NbdTool.start(folder, 'nbdkit', ['memory', String(size)]);
      await using device = await openTable(linear(server.uri), { nbd: { reconnectTimeout: 1 } });
      await server.kill('SIGKILL');
      const error = (await device.read(0, 512).catch((error) => error)) as DeviceError;
      expect(error).to.include({ code: 'ETIMEDOUT' });
      expect(error.message).to.match(
        /read failed at sectors 0\+1; .*of reconnecting; (ECONNREFUSED|ENOTCONN|ECONNRESET)/,
      );
    }),
  );

  it(
    'TCP',
    inFolder(async (folder) => {
      const data = randomBytes('nbd', size);
      writeFileSync(join(folder, 'served'), data);
      await using server = await NbdTool.start(folder, 'nbdkit', ['file', 'served']);
      // A port that is free, in front of the server's own socket.
      const front = createServer((socket) => socket.pipe(connect(server.socket)).pipe(socket));
      front.listen(0, '127.0.0.1');
      await once(front, 'listening');
      const { port } = front.address() as AddressInfo;
      {
        await using device = await openTable(linear(`nbd://127.0.0.1:${port}`));
        expect(Buffer.from(await device.read(0, size)).equals(data)).to.equal(true);
        expect(device.table()).to.equal(linear(`nbd://127.0.0.1:${port}/`));
      }
      await new Promise((resolve) => front.close(resolve));
    }),
  );

  describe('encrypted', () => {
    /** An authority, and certificates of it for both ends. */
    function makeCertificates(folder: string): string {
      const pki = join(folder, 'pki');
      mkdirSync(pki);
      const openssl = (...args: string[]) => {
        const { status, stderr } = spawnSync('openssl', args, { cwd: pki });
        expect(status, stderr.toString()).to.equal(0);
      };
      const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
      openssl('req', '-x509', ...ec, '-keyout', 'ca-key.pem', '-out', 'ca-cert.pem', '-subj', '/CN=authority');
      for (const [end, name] of Object.entries({ server: 'localhost', client: 'client' })) {
        const files = ['-keyout', `${end}-key.pem`, '-out', `${end}-cert.pem`];
        const by = ['-CA', 'ca-cert.pem', '-CAkey', 'ca-key.pem', '-addext', `subjectAltName=DNS:${name}`];
        openssl(
          'req',
          '-x509',
          ...ec,
          ...files,
          ...by,
          '-subj',
          `/CN=${name}`,
          '-addext',
          'basicConstraints=critical,CA:FALSE',
        );
      }
      return pki;
    }

    it(
      'with certificates of both ends; a name that is not the one of the server, or none, is refused',
      inFolder(async (folder) => {
        const pki = makeCertificates(folder);
        const tls = ['--tls=require', `--tls-certificates=${pki}`, '--tls-verify-peer'];
        await using server = await NbdTool.start(folder, 'nbdkit', [...tls, 'pattern', String(size)]);
        const read = (uri: string) => dmalg(folder, ['dm', 'read', '--table', linear(uri), '--length', '16']);
        const uri = `${server.uri.replace('nbd', 'nbds')}&tls-certificates=${pki}`;
        const { status, stdout, stderr } = read(uri);
        expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
        expect(stdout.toString('hex')).to.equal('00000000000000000000000000000008');
        for (const [other, words] of [
          [`${uri}&tls-hostname=elsewhere`, 'EACCES: TLS: Hostname/IP does not match'],
          [server.uri, 'EACCES: the server wants TLS: nbds: or nbds+unix:'],
          [server.uri.replace('nbd', 'nbds'), 'EACCES: TLS: '],
          [`${server.uri.replace('nbd', 'nbds')}&tls-certificates=/none`, 'EACCES: ENOENT: '],
        ] as const) {
          const refused = read(other);
          expect(refused.status, other).to.equal(4);
          expect(refused.stderr).to.include(words);
        }
      }),
    );

    it(
      'with a key that both have; with another it is refused',
      inFolder(async (folder) => {
        writeFileSync(join(folder, 'keys'), `alice:${'5a'.repeat(32)}\n`);
        writeFileSync(join(folder, 'wrong'), `alice:${'a5'.repeat(32)}\n`);
        const tls = ['--tls=require', `--tls-psk=${join(folder, 'keys')}`];
        await using server = await NbdTool.start(folder, 'nbdkit', [...tls, 'memory', String(size)]);
        const uri = (file: string) => `${server.uri.replace('nbd+unix://', 'nbds+unix://alice@')}&tls-psk-file=${file}`;
        const data = randomBytes('nbd', size);
        expect(dmalg(folder, ['dm', 'write', '--table', crypt(uri('keys'))], data)).to.include({
          status: 0,
          stderr: '',
        });
        expect(dmalg(folder, ['dm', 'read', '--table', crypt(uri('keys'))]).stdout.equals(data)).to.equal(true);
        const refused = dmalg(folder, ['dm', 'read', '--table', crypt(uri('wrong'))]);
        expect(refused.status).to.equal(4);
        expect(refused.stderr).to.include('EACCES: TLS: ');
      }),
    );

    it(
      'a server that has no TLS is not spoken to in the clear',
      inFolder(async (folder) => {
        await using server = await NbdTool.start(folder, 'nbdkit', ['memory', String(size)]);
        const { status, stderr } = dmalg(folder, ['dm', 'read', '--table', linear(server.uri.replace('nbd', 'nbds'))]);
        expect(status).to.equal(4);
        expect(stderr).to.include('the server has no TLS, which nbds: asks for');
      }),
    );
  });
});
