import { spawn } from 'node:child_process';
import { expect } from 'chai';
import type { EngineName } from '../../lib/index.js';
import { AlgError, IvChain, openLanes, Tfm } from '../../lib/index.js';

const index = new URL('../../lib/index.js', import.meta.url).href;

/** What every child begins with: a tfm on the engine, and requests of 64 KiB. */
function preamble(provider: string, engine: string): string {
  return `
    const { Tfm, IvChain, openLanes, openAio, createHash } = await import(${JSON.stringify(index)});
    const tfm = new Tfm('skcipher', 'cbc(aes)', { key: new Uint8Array(16), provider: '${provider}', engine: '${engine}' });
    const fill = (request) => Object.assign(request, { iv: new Uint8Array(16), src: new Uint8Array(65536), dst: new Uint8Array(65536) });
    const make = () => fill(tfm.request());
  `;
}

/** Runs the text in a child process. Resolves with how it ended; a child that hangs is the test's timeout. */
export function child(text: string): Promise<{ status: number | null; signal: string | null; out: string }> {
  return new Promise((resolve) => {
    const args = ['--expose-gc', '--input-type=module', '-e', text];
    const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    for (const stream of [process_.stdout, process_.stderr]) stream.on('data', (data) => (out += data));
    process_.on('close', (status, signal) => resolve({ status, signal, out }));
  });
}

async function expectChild(text: string, out: string, status = 0): Promise<void> {
  expect(await child(text)).to.deep.equal({ status, signal: null, out });
}

/** Lifecycles that must end well, on any provider and engine. Each runs in a process of its own. */
export function lifecycleSuite(provider: 'kernel' | 'library', engines: EngineName[]): void {
  for (const engine of engines)
    describe(`lifecycle, ${provider}, ${engine}`, () => {
      const start = preamble(provider, engine);

      it('exits when idle, without anything closed', () =>
        expectChild(`${start} await make().run(); console.log('idle')`, 'idle\n'));

      it('stays alive for what is in flight', () =>
        expectChild(`${start} make().run().then((size) => console.log(size))`, '65536\n'));

      it('process.exit() with requests in flight', () =>
        expectChild(`${start} for (let i = 0; i < 50; i++) make().run(); process.exit(3)`, '', 3));

      it('an uncaught exception with requests in flight', async () => {
        const { status, signal } = await child(
          `${start} for (let i = 0; i < 50; i++) make().run(); throw new Error('x')`,
        );
        expect({ status, signal }).to.deep.equal({ status: 1, signal: null });
      });

      it('closed with requests in flight', () =>
        expectChild(
          `${start} const runs = Array.from({ length: 20 }, () => make().run()); tfm.close(); tfm.close();
           console.log((await Promise.all(runs)).every((size) => size === 65536))`,
          'true\n',
        ));

      it('await using waits for what is in flight', () =>
        expectChild(
          `${start} const run = make().run(); let done = false; run.then(() => { done = true; });
           await tfm[Symbol.asyncDispose](); console.log(done, tfm.closed)`,
          'true true\n',
        ));

      it('garbage collected: requests, tfms, chains nobody closed', () =>
        expectChild(
          `${start} import { readdirSync } from 'node:fs';
           const count = () => readdirSync('/proc/self/fd').length;
           await make().run();
           const before = count();
           for (let round = 0; round < 20; round++) {
             for (let i = 0; i < 50; i++) {
               const other = new Tfm('skcipher', 'cbc(aes)', { key: new Uint8Array(16), provider: '${provider}', engine: '${engine}' });
               await fill(other.request()).run();
             }
             gc();
             await new Promise((resolve) => setImmediate(resolve));
           }
           gc();
           for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
           console.log(count() - before < 60)`,
          'true\n',
        ));

      it('garbage collected while in flight: buffers and request stay until the completion', () =>
        expectChild(
          `${start}
           const runs = [];
           for (let i = 0; i < 200; i++) { runs.push(make().run()); if (i % 20 === 0) { gc(); await null; } }
           gc();
           console.log((await Promise.all(runs)).every((size) => size === 65536))`,
          'true\n',
        ));

      const worker = (body: string, then: string) => `
        import { Worker } from 'node:worker_threads';
        const body = ${JSON.stringify(`import { parentPort } from 'node:worker_threads'; ${start} ${body}`)};
        const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(body)));
        worker.on('error', (error) => { console.log('error', error.message); });
        ${then}`;

      it('a worker that ends by itself', () =>
        expectChild(
          worker(
            'parentPort.postMessage(await make().run());',
            `worker.on('message', (size) => console.log(size)); worker.on('exit', (status) => console.log('exit', status));`,
          ),
          '65536\nexit 0\n',
        ));

      it('a worker terminated with requests in flight', () =>
        expectChild(
          worker(
            `for (let i = 0; i < 40; i++) make().run(); parentPort.postMessage('started');
             const again = () => make().run().then(again); again();`,
            `worker.once('message', async () => { console.log('exit', await worker.terminate()); });`,
          ),
          'exit 1\n',
        ));

      it('four workers at once', () =>
        expectChild(
          `import { Worker } from 'node:worker_threads';
           const body = ${JSON.stringify(`import { parentPort } from 'node:worker_threads'; ${start}
             let sum = 0; for (let i = 0; i < 20; i++) sum += await make().run(); parentPort.postMessage(sum);`)};
           const url = new URL('data:text/javascript,' + encodeURIComponent(body));
           const sums = await Promise.all([1, 2, 3, 4].map(() => new Promise((resolve, reject) => {
             const worker = new Worker(url); worker.on('error', reject); worker.on('message', resolve);
           })));
           console.log(sums.join())`,
          `${Array(4)
            .fill(65536 * 20)
            .join()}\n`,
        ));

      it('exceptions in completion callbacks reach the process, and every completion comes', () =>
        expectChild(
          `${start} let thrown = 0, done = 0;
           process.on('uncaughtException', () => { thrown++; });
           process.on('exit', () => console.log(thrown, done));
           for (let i = 0; i < 10; i++) {
             const request = make();
             const end = () => { done++; if (i % 2) throw new Error('mine'); };
             if (request.submit(end) === 'done') try { end(); } catch { thrown++; }
           }`,
          '5 10\n',
        ));

      it('a chain closed in the middle, and the process ends', () =>
        expectChild(
          `${start} const chain = new IvChain(tfm, { mode: 'staged', direction: 'encrypt', iv: new Uint8Array(16), depth: 4 });
           const runs = Array.from({ length: 10 }, () => chain.push(new Uint8Array(4096), new Uint8Array(4096)));
           const outcomes = Promise.allSettled(runs);
           chain.close(); chain.close();
           const kinds = (await outcomes).map(({ status }) => status);
           console.log(kinds.length, kinds.at(-1))`,
          // The sync engine has run them all before close() is called.
          engine === 'sync' ? '10 fulfilled\n' : '10 rejected\n',
        ));
    });

  describe(`every method after close, ${provider}`, () => {
    const options = { key: new Uint8Array(16), provider, engine: 'lanes' } as const;
    const bytes = () => new Uint8Array(16);
    const closed = (run: () => unknown) => expect(run).to.throw(AlgError).with.property('code', 'EBADF');

    it('Tfm', () => {
      const tfm = new Tfm('skcipher', 'cbc(aes)', options);
      tfm.close();
      tfm.close();
      tfm[Symbol.dispose]();
      closed(() => tfm.request());
      closed(() => tfm.setKey(bytes()));
      closed(() => tfm.setKeySerial(1));
      closed(() => tfm.maxRequest());
      closed(() => tfm.carriesIv());
      closed(() => new IvChain(tfm, { mode: 'mutex', direction: 'encrypt', iv: bytes() }));
    });

    it('Request', async () => {
      const tfm = new Tfm('skcipher', 'cbc(aes)', options);
      const request = tfm.request();
      Object.assign(request, { iv: bytes(), src: bytes(), dst: bytes() });
      request.close();
      request.close();
      closed(() => request.runSync());
      closed(() => request.submit(() => {}));
      closed(() => request.stage());
      closed(() => request.update(bytes()));
      closed(() => request.final(bytes()));
      closed(() => request.clone());
      closed(() => request.reset());
      await request.idle();
      tfm.close();
    });

    it('a request in flight keeps its fields', async () => {
      const tfm = new Tfm('skcipher', 'cbc(aes)', options);
      const request = tfm.request();
      Object.assign(request, { iv: bytes(), src: bytes(), dst: bytes() });
      const run = request.run();
      for (const fields of [{ src: bytes() }, { dst: bytes() }, { iv: bytes() }, { direction: 'decrypt' }])
        expect(() => Object.assign(request, fields))
          .to.throw(AlgError)
          .with.property('code', 'EBUSY');
      await run;
      Object.assign(request, { src: bytes() });
      tfm.close();
    });

    it('Batch and engine', async () => {
      const engine = openLanes(1);
      const tfm = new Tfm('skcipher', 'cbc(aes)', { ...options, engine });
      const batch = tfm.batch({ direction: 'encrypt', unitSize: 16, ivs: bytes(), src: bytes(), dst: bytes() });
      engine.close();
      engine.close();
      await batch.run().then(
        () => expect.fail('ran'),
        (error) => expect(error.code).to.equal('ECANCELED'),
      );
      tfm.close();
      closed(() => batch.runSync());
    });
  });
}
