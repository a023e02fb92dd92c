import { spawnSync } from 'node:child_process';
import * as nodeCrypto from 'node:crypto';
import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { createCipheriv, createHash, decrypt, encrypt, hash, randomBytes } from '../../lib/index.js';
import type { Provider } from './reference.js';

const index = new URL('../../lib/index.js', import.meta.url).href;

/** Runs a module in a process of its own, with the API as `dmalg`. It must exit by itself. */
function runAlone(code: string): string {
  const program = `import * as dmalg from '${index}';\n${code}`;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  expect({ status, signal, stderr }).to.deep.equal({ status: 0, signal: null, stderr: '' });
  return stdout;
}

/** Threads, processes and descriptors, on either provider. */
export function processSuite(provider: Provider): void {
  describe(`in threads and processes, on the ${provider}`, function () {
    this.timeout(600_000);

    it('works in several threads at once', async () => {
      const code = `
        const { parentPort, workerData } = require('node:worker_threads');
        import('${index}').then(async (dmalg) => {
          const { provider, n } = workerData;
          const options = { key: Buffer.alloc(32, n), iv: Buffer.alloc(16, n), provider };
          let data = Buffer.alloc(50_000, n);
          for (let turn = 0; turn < 10; turn++) data = await dmalg.promises.encrypt('ctr(aes)', options, data);
          parentPort.postMessage((await dmalg.promises.hash('sha256', data, { provider })).toString('hex'));
        });`;
      const results = await Promise.all(
        [1, 2, 3, 4].map(
          (n) =>
            new Promise<string>((resolve, reject) => {
              const worker = new Worker(code, { eval: true, workerData: { provider, n } });
              let digest = '';
              worker.on('message', (message: string) => {
                digest = message;
              });
              worker.on('error', reject);
              worker.on('exit', (status) => (status ? reject(new Error(`exit ${status}`)) : resolve(digest)));
            }),
        ),
      );
      results.forEach((digest, at) => {
        let data = Buffer.alloc(50_000, at + 1);
        const key = Buffer.alloc(32, at + 1);
        for (let turn = 0; turn < 10; turn++)
          data = nodeCrypto.createCipheriv('aes-256-ctr', key, Buffer.alloc(16, at + 1)).update(data);
        expect(digest, `thread ${at}`).to.equal(nodeCrypto.createHash('sha256').update(data).digest('hex'));
      });
    });

    it('a thread may be ended while its data is in flight', () => {
      const thread = `
        const { parentPort } = require('node:worker_threads');
        import('${index}').then((dmalg) => {
          const options = { provider: '${provider}' };
          const stream = dmalg.createCipheriv('ctr(aes)', Buffer.alloc(32), Buffer.alloc(16), options);
          stream.write(Buffer.alloc(20_000_000));
          parentPort.postMessage('begun');
        });`;
      const output = runAlone(`
        import { Worker } from 'node:worker_threads';
        const worker = new Worker(${JSON.stringify(thread)}, { eval: true, execArgv: [] });
        worker.on('message', () => worker.terminate().then((status) => console.log(status)));
      `);
      expect(output).to.equal('1\n');
    });

    it('lets the process exit when idle, with hashes, ciphers and engines still open', () => {
      const output = runAlone(`
        const options = { provider: '${provider}' };
        const key = Buffer.alloc(32), iv = Buffer.alloc(16);
        dmalg.createHash('sha256', options).update('x');
        const open = dmalg.createCipheriv('ctr(aes)', key, iv, options);
        open.write('abc');
        await dmalg.promises.encrypt('cbc(aes)', { key, iv, ...options }, Buffer.alloc(500_000));
        await dmalg.promises.randomBytes(100, options);
        console.log('idle');
      `);
      expect(output).to.equal('idle\n');
    });

    it('finishes what is in flight before the process exits', () => {
      const output = runAlone(`
        const options = { provider: '${provider}', key: Buffer.alloc(32), iv: Buffer.alloc(16) };
        dmalg.promises.encrypt('cbc(aes)', options, Buffer.alloc(500_000)).then((data) => console.log(data.length));
      `);
      expect(output).to.equal('500016\n');
    });

    it('leaves no descriptor open, however a message ends', async () => {
      const options = { provider };
      const key = Buffer.alloc(32, 1);
      const iv = Buffer.alloc(16);
      const nonce = Buffer.alloc(12);
      const endings: (() => unknown)[] = [
        () => hash('sha256', 'x', options),
        () => {
          const original = createHash('sha256', options).update('x');
          original.copy().digest();
          original.digest();
        },
        () => createHash('sha256', options).destroy(),
        () => createCipheriv('cbc(aes)', key, iv, options).final(),
        () => createCipheriv('cbc(aes)', key, iv, options).destroy(),
        () => decrypt('cbc(aes)', { key, iv, ...options }, Buffer.alloc(16)),
        () => decrypt('gcm(aes)', { key, iv: nonce, ...options }, Buffer.alloc(20)),
        () => createCipheriv('cbc(aes)', key, nonce, options),
        () => createCipheriv('cbc(aes)', key, iv, { ...options, authTagLength: 5 }),
        () => encrypt('cbc(aes)', { key, iv, aad: 'x', ...options }, 'x'),
        () => encrypt('cbc(aes)', { key, iv, autoPadding: false, ...options }, 'x'),
        () => createHash('sha256', { ...options, key: 'x' }),
        () => randomBytes(5, options),
      ];
      const run = (ending: () => unknown) => {
        try {
          ending();
        } catch {
          // Some of these endings are errors.
        }
      };
      endings.forEach(run); // what is opened once and for all
      const count = () => readdirSync('/proc/self/fd').length;
      for (const ending of endings) {
        const before = count();
        for (let turn = 0; turn < 5; turn++) run(ending);
        expect(count(), String(ending)).to.equal(before);
      }
    });
  });
}
