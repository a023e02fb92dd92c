import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer, type Server } from 'node:tls';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { binding, libraryKind, type OpHandle, type TfmHandle } from '../../../../lib/base/binding.js';
import { createCipheriv, createHash, decrypt, promises, Tfm } from '../../../../lib/index.js';

const provider = 'library' as const;
const key = Buffer.from(Uint8Array.from({ length: 64 }, (_, at) => at));
const forged = Buffer.alloc(64, 5);
/** What cannot be: of each path into libcrypto one that libcrypto itself refuses. */
const failing: Record<string, () => unknown> = {
  'ccm, a forged message': () =>
    decrypt('ccm(aes)', { key: key.subarray(0, 16), iv: Buffer.alloc(12), provider }, forged),
  'gcm, a forged message': () =>
    decrypt('gcm(aes)', { key: key.subarray(0, 16), iv: Buffer.alloc(12), provider }, forged),
  'chacha20-poly1305, a forged message': () =>
    decrypt('rfc7539(chacha20,poly1305)', { key: key.subarray(0, 32), iv: Buffer.alloc(12), provider }, forged),
  'xts, equal halves': () => new Tfm('skcipher', 'xts(aes)', { key: Buffer.alloc(64), provider }),
  'xts, equal halves, by setKey': () => {
    using tfm = new Tfm('skcipher', 'xts(aes)', { key, provider });
    tfm.setKey(Buffer.alloc(64));
  },
  'cbc, bad padding': () => decrypt('cbc(aes)', { key: key.subarray(0, 16), iv: Buffer.alloc(16), provider }, forged),
  'a key of no size of the cipher': () => new Tfm('skcipher', 'cbc(aes)', { key: key.subarray(0, 15), provider }),
  'a tag of no size of gcm': () => new Tfm('aead', 'gcm(aes)', { key: key.subarray(0, 16), authSize: 7, provider }),
  'a tag of no size of ccm': () => new Tfm('aead', 'ccm(aes)', { key: key.subarray(0, 16), authSize: 5, provider }),
  'a ccm nonce of a size that is none': () =>
    createCipheriv('ccm(aes)', key.subarray(0, 16), Buffer.alloc(3), { provider }).final(),
  'an unknown digest': () => createHash('sha257', { provider }),
  'names that libcrypto does not know': () => {
    const native = binding();
    const { digest, cipher, hmac } = libraryKind;
    const refused = [digest, cipher].map((kind) => native.library_open(kind, 'NO-SUCH-NAME'));
    const mac = native.library_open(hmac, 'NO-SUCH-DIGEST') as TfmHandle;
    native.tfm_set_key(mac, key);
    refused.push(native.op_open(mac) as number);
    native.tfm_close(mac);
    for (const result of refused) expect(result).to.be.lessThan(0);
    throw new Error('refused');
  },
  'xts, a unit of less than a block': () => {
    const native = binding();
    const tfm = native.library_open(libraryKind.cipher, 'AES-256-XTS') as TfmHandle;
    native.tfm_set_key(tfm, key);
    const op = native.op_open(tfm) as OpHandle;
    const [src, dst] = [new Uint8Array(15), new Uint8Array(15)];
    const result = native.op_run(op, 1, new Uint8Array(16), 0, src, dst, null);
    native.op_close(op);
    native.tfm_close(tfm);
    expect(result).to.be.lessThan(0);
    throw new Error('refused');
  },
};

/** A server without certificates: a key that both know. */
const psk = { psk: Buffer.alloc(16, 1), identity: 'test' };
const tls = { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' as const };

/** What a connection answers that was open before `fail`: libcrypto is asked for nothing in between. */
async function exchange(server: Server, fail: () => void | Promise<void> = () => {}): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const socket = connect({
    port,
    host: '127.0.0.1',
    ...tls,
    pskCallback: () => psk,
    checkServerIdentity: () => undefined,
  });
  const closed = once(socket, 'close').then(() => ['closed']);
  await Promise.race([once(socket, 'secureConnect'), closed]);
  await fail();
  socket.write('ping');
  const [answer] = await Promise.race([once(socket, 'data'), closed]);
  socket.destroy();
  return String(answer);
}

describe("OpenSSL's error queue is left as it was found: TLS works after", () => {
  let server: Server;
  const sockets: Socket[] = [];
  before(async () => {
    server = createServer({ ...tls, pskCallback: () => psk.psk, pskIdentityHint: 'test' }, (socket) =>
      socket.on('error', () => {}).pipe(socket),
    );
    server.on('connection', (socket: Socket) => sockets.push(socket));
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });

  it('nothing', async () => {
    expect(await exchange(server)).to.equal('ping');
  });
  for (const [what, fail] of Object.entries(failing))
    it(what, async () => {
      expect(await exchange(server, () => void expect(fail).to.throw())).to.equal('ping');
      expect(await exchange(server), 'another connection').to.equal('ping');
    });
  it('forged messages on lanes', async () => {
    const options = { key: key.subarray(0, 16), iv: Buffer.alloc(12), provider };
    const forge = async () => {
      for (const name of ['ccm(aes)', 'gcm(aes)'])
        for (let i = 0; i < 8; i++)
          expect(await promises.decrypt(name, options, forged).catch((error) => error.code)).to.equal('EBADMSG');
    };
    expect(await exchange(server, forge)).to.equal('ping');
  });
  it('in a worker thread', async () => {
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { connect } = require('node:tls');
      import(workerData.index).then(({ decrypt, Tfm }) => {
        const options = { key: Buffer.alloc(16), iv: Buffer.alloc(12), provider: 'library' };
        let failed = 0;
        const fails = [
          () => decrypt('ccm(aes)', options, Buffer.alloc(64)),
          () => new Tfm('skcipher', 'xts(aes)', { key: Buffer.alloc(64), provider: 'library' }),
        ];
        const socket = connect({ port: workerData.port, host: '127.0.0.1', ...workerData.tls,
          pskCallback: () => ({ psk: Buffer.alloc(16, 1), identity: 'test' }), checkServerIdentity: () => undefined });
        socket.once('secureConnect', () => {
          for (const fail of fails) try { fail(); } catch { failed++; }
          socket.write('ping');
        });
        socket.on('error', (error) => parentPort.postMessage(String(error)));
        socket.on('data', (part) => parentPort.postMessage(failed + ' ' + part));
      });`;
    const index = new URL('../../../../lib/index.js', import.meta.url).href;
    const { port } = server.address() as AddressInfo;
    const worker = new Worker(source, { eval: true, workerData: { index, port, tls } });
    const [answer] = await once(worker, 'message');
    expect(answer).to.equal('2 ping');
    await worker.terminate();
  });
});
