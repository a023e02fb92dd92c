import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { child } from '../suites/lifecycle-suite.js';

const index = new URL('../../lib/index.js', import.meta.url).href;

const start = `
  const { IvChain, Tfm, createHash, formatVerity, openLanes, openTable } = await import(${JSON.stringify(index)});
  const provider = 'library';
  const bytes = () => new Uint8Array(65536);
  const ignore = () => {};
  const open = (engine = 'lanes') => new Tfm('skcipher', 'cbc(aes)', { key: new Uint8Array(16), provider, engine });
  const fill = (request) => Object.assign(request, { iv: new Uint8Array(16), src: bytes(), dst: bytes() });
  const mapped = () => openTable('0 2048 crypt aes-xts-plain64 ' + '0f'.repeat(31) + '01' + ' 0 ram:1048576 0', { provider });
  const write = (device, count) => { for (let at = 0; at < count; at++) device.write(at * 512, bytes()).catch(ignore); };
`;

/** What is going on when it ends. FOLDER has a file of data. */
const states: Record<string, string> = {
  'requests behind a full engine':
    'const tfm = open(openLanes(1, 1)); for (let i = 0; i < 200; i++) fill(tfm.request()).run().catch(ignore);',
  'an engine being closed with requests in flight':
    'const engine = openLanes(2); const tfm = open(engine); for (let i = 0; i < 50; i++) fill(tfm.request()).run().catch(ignore); engine.close();',
  'staged requests': `const tfm = open(); for (let i = 0; i < 20; i++) fill(tfm.request()).stage();
     const chain = new IvChain(tfm, { mode: 'staged', direction: 'encrypt', iv: new Uint8Array(16), depth: 4 });
     for (let i = 0; i < 20; i++) chain.push(bytes(), bytes()).catch(ignore);`,
  'batches on the lanes': `const tfm = open();
     for (let i = 0; i < 20; i++) tfm.batch({ direction: 'encrypt', unitSize: 512, ivs: new Uint8Array(2048), src: bytes(), dst: bytes() }).run().catch(ignore);`,
  'a device with bios in flight': 'write(await mapped(), 64);',
  'a device being suspended': 'const device = await mapped(); write(device, 64); device.suspend();',
  'a suspended device that holds bios': 'const device = await mapped(); await device.suspend(); write(device, 64);',
  'a device being resumed':
    'const device = await mapped(); await device.suspend(); write(device, 64); device.resume();',
  'a device being closed': 'const device = await mapped(); write(device, 64); device.close();',
  'tables being opened': 'for (let i = 0; i < 5; i++) mapped();',
  'a tree and its parity being made':
    "formatVerity('FOLDER/data', 'FOLDER/hash', { provider, fec: { path: 'FOLDER/fec' } }).catch(ignore); await new Promise(setImmediate);",
  'a hash half done': "createHash('sha256', { provider }).update(bytes());",
};

const worker = (body: string) => `
  import { Worker } from 'node:worker_threads';
  const body = ${JSON.stringify(`import { parentPort } from 'node:worker_threads'; ${body} parentPort.postMessage('there'); setInterval(() => {}, 1000);`)};
  const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(body)));
  worker.on('error', (error) => console.log(error));
  worker.once('message', async () => console.log('ended', await worker.terminate()));`;

/** Ways to end, and what the process is to do. */
const endings: Record<string, { text: (state: string) => string; status: number; out?: string }> = {
  'process.exit()': { text: (state) => `${state} process.exit(3);`, status: 3, out: '' },
  'an uncaught exception': { text: (state) => `${state} throw new Error('the end');`, status: 1 },
  'a worker that is terminated': { text: worker, status: 0, out: 'ended 1\n' },
};

describe('ends in every state', function () {
  this.timeout(600_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-exits-'));
    writeFileSync(join(folder, 'data'), Buffer.alloc(8 << 20, 1));
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const [ending, { text, status, out }] of Object.entries(endings))
    for (const [name, state] of Object.entries(states))
      it(`${ending}: ${name}`, async () => {
        const ended = await child(text((start + state).replaceAll('FOLDER', folder)));
        expect(ended, ended.out).to.include({ status, signal: null });
        if (out === undefined) expect(ended.out).to.contain('Error: the end');
        else expect(ended.out).to.equal(out);
      });
});
