import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { client, nbdsh, Serving } from '../support/nbd-serve.js';
import { needPrograms } from '../support/need-programs.js';

describe('dmalg serve with TLS, to other programs', function () {
  this.timeout(600_000);
  let folder: string;

  before(function () {
    needPrograms(this, {
      openssl: 'openssl',
      nbdinfo: 'libnbd-bin',
      nbdsh: 'python3-libnbd',
      'qemu-img': 'qemu-utils',
    });
    folder = mkdtempSync(join(tmpdir(), 'dmalg-tls-'));
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    const request = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl(...request, '-x509', '-keyout', 'ca-key.pem', '-out', 'ca-cert.pem', '-subj', '/CN=test CA', '-days', '2');
    for (const end of ['server', 'client']) {
      openssl(...request, '-keyout', `${end}-key.pem`, '-out', `${end}.csr`, '-subj', '/CN=localhost');
      writeFileSync(join(folder, 'ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
      const ca = ['-CA', 'ca-cert.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2', '-extfile', 'ext'];
      openssl('x509', '-req', '-in', `${end}.csr`, '-out', `${end}-cert.pem`, ...ca);
    }
    // What a stranger has: the CA, and nothing that it has signed.
    mkdirSync(join(folder, 'stranger'));
    cpSync(join(folder, 'ca-cert.pem'), join(folder, 'stranger', 'ca-cert.pem'));
    writeFileSync(join(folder, 'keys'), `alice:${'a1'.repeat(32)}\nbob:${'b2'.repeat(16)}\n`);
    writeFileSync(join(folder, 'wrong-keys'), `alice:${'c3'.repeat(32)}\ncarol:${'b2'.repeat(16)}\n`);
  });
  after(() => {
    if (folder) rmSync(folder, { recursive: true });
  });
  afterEach(() => Serving.killAll());

  const start = (...args: string[]) => Serving.start(folder, ['--table', '0 16 zero', '--port', '0', ...args]);
  const withCertificates = (certificates: string, uri: string) => [
    `h.set_tls_certificates("${certificates}")`,
    `h.connect_uri("${uri}")`,
    'print(h.get_size(), h.get_tls_negotiated(), h.pread(512, 0) == bytes(512))',
  ];
  const withKey = (user: string, keys: string, uri: string) => [
    `h.set_tls_username("${user}"); h.set_tls_psk_file("${keys}")`,
    `h.connect_uri("${uri}")`,
    'print(h.get_size(), h.get_tls_negotiated(), h.pread(512, 0) == bytes(512))',
  ];
  /** Asks for TLS, says something else, and waits for the end. */
  const notTls = (port: number) =>
    `import socket; s = socket.create_connection(("127.0.0.1", ${port})); s.recv(18); ` +
    's.sendall(bytes([0, 0, 0, 3]) + b"IHAVEOPT" + bytes([0, 0, 0, 5, 0, 0, 0, 0])); s.recv(20); ' +
    's.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n");\nwhile s.recv(99): pass';
  const served = { status: 0, output: '8192 True True\n' };

  it('certificates: libnbd and QEMU are served, and nobody without TLS', async () => {
    const server = await start('--tls-certs', '.');
    expect(server.uri).to.match(/^nbds:/);
    expect(nbdsh(folder, withCertificates('.', server.uri))).to.deep.equal(served);
    expect(nbdsh(folder, withCertificates('stranger', server.uri))).to.deep.equal(served);
    const port = new URL(server.uri).port;
    // OpenSSL's words of the handshake that fails end with a line end.
    const stranger = client(folder, '/usr/bin/python3', ['-c', notTls(Number(port))]);
    expect(stranger.status, stranger.output).to.equal(0);
    const credentials = `tls-creds-x509,id=tls0,dir=${folder},endpoint=client`;
    const image = `driver=nbd,host=localhost,port=${port},tls-creds=tls0`;
    const qemu = client(folder, 'qemu-img', ['info', '--object', credentials, '--image-opts', image, '--output=json']);
    expect(JSON.parse(qemu.output)).to.include({ 'virtual-size': 8192 });
    const plain = server.uri.replace('nbds', 'nbd');
    for (const args of [[plain], ['--list', plain]]) {
      const refused = client(folder, 'nbdinfo', args);
      expect(refused.status).to.equal(1);
      expect(refused.output).to.not.contain('8192');
    }
    expect(await server.stop()).to.equal(0);
    const lines = server.stderr.trimEnd().split('\n');
    expect(lines).to.have.length.above(0);
    for (const line of lines) expect(line).to.match(/^dmalg: \S/);
    expect(server.stderr).to.match(/http request/i);
  });

  it('--tls-verify-peer: only clients whose certificate our CA has signed', async () => {
    const server = await start('--tls-certs', '.', '--tls-verify-peer');
    expect(nbdsh(folder, withCertificates('.', server.uri))).to.deep.equal(served);
    expect(nbdsh(folder, withCertificates('stranger', server.uri)).status).to.equal(1);
    expect(await server.stop()).to.equal(0);
    expect(server.stderr).to.contain('dmalg: a client was cut off: ');
  });

  it('keys: their users are served, and nobody with another key or name', async () => {
    const server = await start('--tls-psk', 'keys');
    expect(nbdsh(folder, withKey('alice', 'keys', server.uri))).to.deep.equal(served);
    expect(nbdsh(folder, withKey('bob', 'keys', server.uri))).to.deep.equal(served);
    expect(nbdsh(folder, withKey('alice', 'wrong-keys', server.uri)).status).to.equal(1);
    expect(nbdsh(folder, withKey('carol', 'wrong-keys', server.uri)).status).to.equal(1);
    expect(await server.stop()).to.equal(0);
  });

  it('--tls allow serves with and without; an address of other machines is warned of', async () => {
    const server = await start('--tls-psk', 'keys', '--tls', 'allow', '--host', '0.0.0.0');
    const uri = server.uri.replace('0.0.0.0', '127.0.0.1');
    expect(nbdsh(folder, withKey('alice', 'keys', uri))).to.deep.equal(served);
    expect(client(folder, 'nbdinfo', ['--size', uri.replace('nbds', 'nbd')])).to.deep.equal({
      status: 0,
      output: '8192\n',
    });
    expect(await server.stop()).to.equal(0);
    expect(server.stderr).to.contain('dmalg: warning: other machines can use this without TLS');
  });
});
