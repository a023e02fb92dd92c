import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { scanMemory } from '../support/scan-memory.js';

const index = new URL('../../lib/index.js', import.meta.url).href;

/** Byte `at` of the key: both sides compute it, so that nobody but the library under test keeps it. */
const byteOf = '(at) => (at * 151 + 77 + (at >> 3) * 29) & 255';
const keyOf = (size: number) =>
  Buffer.from(Uint8Array.from({ length: size }, (_, at) => (at * 151 + 77 + (at >> 3) * 29) & 255));

/** A process that does a step at each line it is told, and says so when it is done; it can be looked at in between. */
class Stepping {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(setUp: string, steps: Record<string, string>) {
    const cases = Object.entries(steps).map(([name, code]) => `${name}: async () => { ${code} },`);
    const program = `
      import * as dmalg from '${index}';
      import { createInterface } from 'node:readline';
      const byteOf = ${byteOf};
      const withKey = (size, use) => {
        const key = new Uint8Array(new ArrayBuffer(size)); // see allocateSecret
        for (let at = 0; at < size; at++) key[at] = byteOf(at);
        try { return use(key); } finally { key.fill(0); }
      };
      ${setUp}
      const steps = { ${cases.join('\n')} };
      for await (const line of createInterface({ input: process.stdin })) {
        await steps[line]();
        console.log(line);
      }`;
    this.#child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid!;
  }
  async step(name: string): Promise<void> {
    this.#child.stdin!.write(`${name}\n`);
    expect((await this.#lines.next()).value).to.equal(name);
  }
  async end(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.stdin!.end();
    expect(await exit).to.deep.equal([0, null]);
  }
}

describe('keys in memory, of the library provider', function () {
  this.timeout(600_000);

  /** Where the first and the last 16 bytes of the key are. */
  function scan(context: Mocha.Context, { pid }: Stepping, size: number) {
    const key = keyOf(size);
    try {
      return scanMemory(pid, [key.subarray(0, 16), key.subarray(size - 16)]);
    } catch (error) {
      if (!['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      context.test!.title += ' (the memory of a child cannot be read here)';
      return context.skip();
    }
  }

  for (const [type, name, size] of [
    ['aead', 'gcm(aes)', 32],
    ['skcipher', 'xts(aes)', 64],
    ['skcipher', 'cbc(aes)', 16],
    ['hash', 'hmac(sha256)', 200],
    ['hash', 'hmac(sha256)', 5000],
  ] as const)
    it(`${name}, ${size} bytes: in locked pages that are in no core dump, and nowhere when it is closed`, async function () {
      const child = new Stepping('let tfm;', {
        open: `tfm = withKey(${size}, (key) => new dmalg.Tfm('${type}', '${name}', { key, provider: 'library' }));`,
        close: 'tfm.close();',
      });
      try {
        await child.step('open');
        const open = scan(this, child, size);
        expect(open.length).to.be.at.least(2);
        for (const { mapping, flags } of open) expect(flags, mapping).to.include('dd');
        // Best effort: where the limit permits none, none is locked.
        if (open.some(({ flags }) => flags.includes('lo')))
          for (const { mapping, flags } of open) expect(flags, mapping).to.include('lo');
        await child.step('close');
        expect(scan(this, child, size)).to.deep.equal([]);
      } finally {
        await child.end();
      }
    });

  it('many keys share pages, and one that goes leaves the others', async function () {
    const child = new Stepping('const tfms = [];', {
      open: `for (let at = 0; at < 300; at++) {
          tfms.push(withKey(32, (key) => { if (at !== 150) key.fill(at); return new dmalg.Tfm('skcipher', 'cbc(aes)', { key, provider: 'library' }); }));
        }`,
      others: 'tfms.forEach((tfm, at) => { if (at !== 150) tfm.close(); });',
      last: 'tfms[150].close();',
    });
    try {
      await child.step('open');
      expect(scan(this, child, 32).map(({ flags }) => flags.includes('dd'))).to.deep.equal([true, true]);
      await child.step('others');
      expect(scan(this, child, 32).map(({ flags }) => flags.includes('dd'))).to.deep.equal([true, true]);
      await child.step('last');
      expect(scan(this, child, 32)).to.deep.equal([]);
    } finally {
      await child.end();
    }
  });

  for (const [cipher, size] of [
    ['aes-xts-plain64', 64],
    ['aes-cbc-essiv:sha256', 32],
    ['aes:2-cbc-plain', 64],
    ['aes-cbc-tcw', 64],
    ['aes-cbc-elephant', 64],
  ] as const)
    it(`CryptConvert with ${cipher}: nothing is left when it is closed, or when it could not be opened`, async function () {
      const child = new Stepping('let convert;', {
        open: `convert = withKey(${size}, (key) => new dmalg.CryptConvert({ cipher: '${cipher}', key, provider: 'library' }));
          const bytes = Buffer.alloc(4096);
          await convert.convert('encrypt', 0, bytes, bytes);`,
        close: 'convert.close();',
        refused: `let refused = 0;
          for (const wrong of ['aes-xts-nothing', 'aes-cbc-essiv:nothing', 'nothing-cbc-plain'])
            try { withKey(${size}, (key) => new dmalg.CryptConvert({ cipher: wrong, key, provider: 'library' })); } catch { refused++; }
          if (refused !== 3) throw new Error('opened');`,
      });
      try {
        await child.step('open');
        // libcrypto has its own copy by now, and not where we would have it: see SECURITY.md.
        expect(scan(this, child, size).length).to.be.at.least(1);
        await child.step('close');
        expect(scan(this, child, size)).to.deep.equal([]);
        await child.step('refused');
        expect(scan(this, child, size)).to.deep.equal([]);
      } finally {
        await child.end();
      }
    });

  it('a tfm closed while its batch is in flight: the op that comes back does not keep the key', async function () {
    const child = new Stepping('let left;', {
      run: `const lanes = dmalg.openLanes(2);
        const tfm = withKey(32, (key) => new dmalg.Tfm('aead', 'gcm(aes)', { key, provider: 'library', engine: lanes }));
        const cbc = withKey(32, (key) => new dmalg.Tfm('skcipher', 'cbc(aes)', { key, provider: 'library', engine: lanes }));
        tfm.close();
        const bytes = new Uint8Array(1 << 20);
        const running = cbc.batch({ direction: 'encrypt', unitSize: 4096, ivs: new Uint8Array(256 * 16), src: bytes, dst: bytes }).run();
        cbc.close();
        if ((await running) !== bytes.length) throw new Error('not whole');
        lanes.close();`,
    });
    try {
      await child.step('run');
      expect(scan(this, child, 32)).to.deep.equal([]);
    } finally {
      await child.end();
    }
  });

  it('a device that is closed keeps none of its key', async function () {
    const child = new Stepping('let device;', {
      open: `const line = withKey(64, (key) => '0 8 crypt aes-xts-plain64 :64:logon:test 0 ram:4096 0');
        device = await withKey(64, (key) => dmalg.openTable(line, { provider: 'library', keys: { 'logon:test': Buffer.from(new Uint8Array(key).buffer) } }));
        await device.write(0, Buffer.alloc(4096));`,
      close: 'await device.close();',
    });
    try {
      await child.step('open');
      expect(scan(this, child, 64).length).to.be.at.least(1);
      const open = scan(this, child, 64).length;
      await child.step('close');
      expect(scan(this, child, 64).length).to.be.lessThan(open);
    } finally {
      await child.end();
    }
  });

  it('a secret that is read from a file: nothing but what the caller wipes', async function () {
    const secret = new URL('../../lib/base/secret.js', import.meta.url).href;
    const child = new Stepping(
      `const { readSecret, readSecretText } = await import('${secret}');
       const fs = await import('node:fs');
       const path = fs.mkdtempSync('/tmp/dmalg-secret-') + '/secret';
       let bytes;`,
      {
        // Longer than the first buffer, so that it grows: the key lies in the part that is copied.
        write: `const file = fs.openSync(path, 'w');
          withKey(64, (key) => fs.writeSync(file, key));
          fs.writeSync(file, Buffer.alloc(20000, 'x'));
          fs.closeSync(file);`,
        read: 'bytes = readSecret(path); if (bytes.length !== 20064) throw new Error(String(bytes.length));',
        wipe: 'bytes.fill(0); fs.rmSync(path);',
      },
    );
    try {
      await child.step('write');
      expect(scan(this, child, 64)).to.deep.equal([]);
      await child.step('read');
      expect(scan(this, child, 64)).to.have.length(2);
      await child.step('wipe');
      expect(scan(this, child, 64)).to.deep.equal([]);
    } finally {
      await child.end();
    }
  });

  it('a crypt device keeps none of a key that is wiped, not even the text of the table', async () => {
    const child = new Stepping('let device;', {
      open: `const { getHeapSnapshot } = await import('node:v8');
        globalThis.isHeld = async () => {
          let text = '';
          for await (const chunk of getHeapSnapshot()) text += chunk;
          // Only now are there digits of ours to be found.
          return text.includes(withKey(64, (key) => Buffer.from(key).toString('hex')));
        };
        const line = withKey(64, (key) => '0 8 crypt aes-xts-plain64 ' + Buffer.from(key).toString('hex') + ' 0 ram:4096 0');
        device = await dmalg.openTable(line, { provider: 'library' });`,
      held: 'if (!(await isHeld())) throw new Error("not found where it is");',
      wiped: `await device.suspend();
        await device.message('key wipe');
        if (await isHeld()) throw new Error("still there");`,
    });
    try {
      await child.step('open');
      await child.step('held');
      await child.step('wiped');
    } finally {
      await child.end();
    }
  });
});
