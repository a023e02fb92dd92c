import { createCipheriv, createDecipheriv } from 'node:crypto';
import { expect } from 'chai';
import { binding } from '../../lib/base/binding.js';
import { AlgError, ChainError, type ChainMode, IvChain, Tfm } from '../../lib/index.js';
import { ManualEngine, permutations, seeded } from '../support/manual-engine.js';

const key = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const iv = Buffer.from('0f0e0d0c0b0a09080706050403020100', 'hex');
const direction = 'encrypt';

function bytes(size: number, seed: number): Buffer {
  const next = seeded(seed);
  return Buffer.from(Array.from({ length: size }, () => Math.floor(next() * 256)));
}

/** What one long request would give: node's own AES. */
function expected(algorithm: 'cbc' | 'ctr', way: 'encrypt' | 'decrypt', pieces: Buffer[]): Buffer[] {
  const make = way === 'encrypt' ? createCipheriv : createDecipheriv;
  const cipher = make(`aes-128-${algorithm}`, key, iv).setAutoPadding(false);
  return pieces.map((piece) => cipher.update(piece));
}

interface Run {
  engine: ManualEngine;
  tfm: Tfm;
  chain: IvChain;
  order: number[];
  errors: (Error | null)[];
  out: Buffer[];
  submit(piece: Buffer, ownIv?: Buffer): void;
  /** The callback of the request with this number. */
  ended(index: number): (error: Error | null) => void;
}

function open(mode: ChainMode, way: 'encrypt' | 'decrypt', depth: number, name = 'cbc(aes)'): Run {
  const engine = new ManualEngine();
  const tfm = new Tfm('skcipher', name, { key, provider: 'library', engine });
  const chain = new IvChain(tfm, { mode, direction: way, depth, ...(mode !== 'inline' && { iv }) });
  const run: Run = {
    engine,
    tfm,
    chain,
    order: [],
    errors: [],
    out: [],
    submit(piece, ownIv) {
      const index = run.out.push(Buffer.alloc(piece.length)) - 1;
      chain.submit(piece, run.out[index]!, run.ended(index), ownIv);
    },
    ended: (index) => (error) => {
      run.order.push(index);
      run.errors[index] = error;
    },
  };
  return run;
}

/** Lets queued microtasks run: completions that came inside a call are delivered then. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('IvChain, every completion order', () => {
  for (const count of [1, 2, 3, 4]) {
    const pieces = Array.from({ length: count }, (_, index) => bytes(16 * (index + 1), index));
    for (const order of permutations(count)) {
      it(`inline: ${count} requests completing as ${order.join(' ')}`, async () => {
        const run = open('inline', 'encrypt', 4);
        const ivs = pieces.map((_, index) => bytes(16, 100 + index));
        pieces.forEach((piece, index) => {
          run.submit(piece, ivs[index]);
        });
        expect(run.engine.flying.length).to.equal(count);
        const works = run.engine.flying.map(({ work }) => work);
        for (const index of order)
          run.engine.complete(run.engine.flying.findIndex(({ work }) => work === works[index]));
        await run.chain.idle();
        expect(run.order).to.deep.equal(order);
        run.out.forEach((out, index) => {
          const own = createCipheriv('aes-128-cbc', key, ivs[index]!).setAutoPadding(false);
          expect(out).to.deep.equal(own.update(pieces[index]!));
        });
        run.tfm.close();
      });

      for (const [name, way] of [
        ['cbc(aes)', 'decrypt'],
        ['ctr(aes)', 'encrypt'],
      ] as const)
        it(`resolved ${name} ${way}: ${count} requests completing as ${order.join(' ')} are delivered in order`, async () => {
          const run = open('resolved', way, 4, name);
          for (const piece of pieces) run.submit(piece);
          expect(run.engine.flying.length).to.equal(count);
          const works = run.engine.flying.map(({ work }) => work);
          for (const index of order)
            run.engine.complete(run.engine.flying.findIndex(({ work }) => work === works[index]));
          await run.chain.idle();
          expect(run.order).to.deep.equal(pieces.map((_, index) => index));
          expect(run.out).to.deep.equal(expected(name.startsWith('cbc') ? 'cbc' : 'ctr', way, pieces));
          run.tfm.close();
        });
    }

    // Only one of a chain is ever in flight, so what varies is when the next is submitted: before or after each completion.
    for (const mode of ['mutex', 'staged', 'socket'] as const)
      for (const way of ['encrypt', 'decrypt'] as const)
        for (let pattern = 0; pattern < 1 << count; pattern++)
          it(`${mode} ${way}: ${count} requests, arrivals ${pattern.toString(2).padStart(count, '0')}`, async () => {
            const run = open(mode, way, 2);
            pieces.forEach((piece, index) => {
              run.submit(piece);
              expect(run.engine.flying.length).to.be.at.most(1);
              if (pattern & (1 << index) && run.engine.flying.length) run.engine.complete(0);
            });
            while (run.engine.flying.length) run.engine.complete(0);
            await run.chain.idle();
            expect(run.order).to.deep.equal(pieces.map((_, index) => index));
            expect(run.out).to.deep.equal(expected('cbc', way, pieces));
            expect(run.engine.submitted).to.equal(count);
            run.tfm.close();
          });
  }
});

describe('IvChain, seeded beyond four', () => {
  for (let seed = 1; seed <= 40; seed++)
    it(`seed ${seed}`, async () => {
      const next = seeded(seed);
      const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
      const way = pick(['encrypt', 'decrypt'] as const);
      const name = pick(['cbc(aes)', 'ctr(aes)'] as const);
      const modes: ChainMode[] = ['mutex', 'staged', 'socket'];
      if (name === 'ctr(aes)' || way === 'decrypt') modes.push('resolved');
      const mode = pick(modes);
      const run = open(mode, way, 1 + Math.floor(next() * 8), name);
      const pieces = Array.from({ length: 30 }, (_, index) => bytes(16 * Math.floor(next() * 40), seed * 100 + index));
      const inPlace = next() < 0.5;
      for (const piece of pieces) {
        if (inPlace) {
          const index = run.out.push(Buffer.from(piece)) - 1;
          run.chain.submit(run.out[index]!, run.out[index]!, run.ended(index));
        } else {
          run.submit(piece);
        }
        while (run.engine.flying.length && next() < 0.4)
          run.engine.complete(Math.floor(next() * run.engine.flying.length));
      }
      while (run.engine.flying.length) run.engine.complete(Math.floor(next() * run.engine.flying.length));
      await run.chain.idle();
      expect(run.errors.every((error) => error === null)).to.equal(true);
      expect(run.order).to.deep.equal(pieces.map((_, index) => index));
      expect(Buffer.concat(run.out)).to.deep.equal(
        Buffer.concat(expected(name === 'cbc(aes)' ? 'cbc' : 'ctr', way, pieces)),
      );
      run.tfm.close();
    });
});

describe('IvChain, an error in the middle', () => {
  const pieces = Array.from({ length: 5 }, (_, index) => bytes(32, index));
  for (const mode of ['mutex', 'staged', 'socket', 'resolved'] as const)
    for (const [code, errno] of [
      ['EBUSY', 16],
      ['ENOSPC', 28],
      ['ENOMEM', 12],
      ['EBADMSG', 74],
    ] as const)
      for (const failing of [0, 1, 2, 4])
        it(`${mode}: ${code} in request ${failing} stops the chain there`, async () => {
          const way = mode === 'resolved' ? 'decrypt' : 'encrypt';
          const run = open(mode, way, 2);
          for (const piece of pieces) run.submit(piece);
          const works = new Set();
          while (run.engine.flying.length) {
            works.add(run.engine.flying[0]!.work);
            const index = run.engine.submitted - run.engine.flying.length;
            run.engine.complete(0, index === failing ? -errno : undefined);
          }
          await run.chain.idle();
          expect(run.order).to.deep.equal([0, 1, 2, 3, 4]);
          const good = expected('cbc', way, pieces);
          run.errors.forEach((error, index) => {
            if (index < failing) {
              expect(error).to.equal(null);
              expect(run.out[index]).to.deep.equal(good[index]);
            } else if (index === failing) {
              expect(error).to.be.instanceOf(AlgError).with.property('code', code);
            } else {
              expect(error).to.be.instanceOf(ChainError).with.property('index', failing);
              expect((error as ChainError).cause).to.have.property('code', code);
            }
          });
          expect(run.chain.failure).to.be.instanceOf(ChainError);
          // Later requests fail, and not inside submit.
          let late: Error | null | undefined;
          run.chain.submit(pieces[0]!, Buffer.alloc(32), (error) => {
            late = error;
          });
          expect(late).to.equal(undefined);
          await settled();
          expect(late).to.be.instanceOf(ChainError).with.property('code', code);
          // The tfm stays usable.
          const again = new IvChain(run.tfm, { mode, direction: way, iv, depth: 2 });
          const out = Buffer.alloc(32);
          const pushed = again.push(pieces[0]!, out);
          run.engine.complete(0);
          expect(await pushed).to.equal(32);
          expect(out).to.deep.equal(good[0]);
          run.tfm.close();
        });

  it('inline: an error is only its own', async () => {
    const run = open('inline', 'encrypt', 2);
    for (const piece of pieces) run.submit(piece, iv);
    for (let index = 0; run.engine.flying.length; index++) run.engine.complete(0, index === 1 ? -28 : undefined);
    await run.chain.idle();
    expect(run.errors.map((error) => (error as AlgError | null)?.code)).to.deep.equal([
      undefined,
      'ENOSPC',
      undefined,
      undefined,
      undefined,
    ]);
    expect(run.chain.failure).to.equal(undefined);
    run.tfm.close();
  });

  it('resolved: two errors out of order count from the first of the series', async () => {
    const run = open('resolved', 'decrypt', 5);
    for (const piece of pieces) run.submit(piece);
    run.engine.complete(3, -16);
    run.engine.complete(1, -28);
    while (run.engine.flying.length) run.engine.complete(0);
    await run.chain.idle();
    expect(run.errors[0]).to.equal(null);
    expect(run.errors[1]).to.have.property('code', 'ENOSPC');
    for (const index of [2, 3, 4]) expect(run.errors[index]).to.be.instanceOf(ChainError).with.property('index', 1);
    run.tfm.close();
  });

  it("a callback's exception does not keep the others from their completions", async () => {
    const run = open('mutex', 'encrypt', 1);
    const thrown: unknown[] = [];
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.once('uncaughtException', (error) => thrown.push(error));
    run.chain.submit(pieces[0]!, Buffer.alloc(32), () => {
      throw new Error('mine');
    });
    run.submit(pieces[1]!);
    while (run.engine.flying.length) run.engine.complete(0);
    await run.chain.idle();
    await settled();
    for (const listener of listeners) process.on('uncaughtException', listener);
    expect(thrown).to.have.length(1);
    expect(run.order).to.deep.equal([0]);
    run.tfm.close();
  });
});

describe('IvChain, its op sockets', () => {
  const open = (engine: ManualEngine) => new Tfm('skcipher', 'cbc(aes)', { key, provider: 'library', engine });

  /** Runs `use`, and says how many ops it has closed. */
  async function countClosed(use: () => Promise<void>): Promise<number> {
    const native = binding();
    const { op_close } = native;
    let closed = 0;
    native.op_close = (op) => {
      closed++;
      return op_close(op);
    };
    try {
      await use();
    } finally {
      native.op_close = op_close;
    }
    return closed;
  }

  for (const [mode, slots] of [
    ['staged', 4],
    ['mutex', 1],
    ['socket', 1],
  ] as const)
    it(`${mode}: a chain that stops closes them, with what was staged`, async () => {
      const engine = new ManualEngine();
      const tfm = open(engine);
      const chain = new IvChain(tfm, { mode, direction, iv, depth: 3 });
      tfm.maxRequest(); // found out with an op of its own
      const closed = await countClosed(async () => {
        const ends = Array.from({ length: 6 }, () =>
          chain.push(Buffer.alloc(16), Buffer.alloc(16)).catch((error) => error),
        );
        engine.complete(0, -5);
        for (const [index, error] of (await Promise.all(ends)).entries())
          expect(error, `request ${index}`).to.be.instanceOf(index ? ChainError : AlgError);
      });
      expect(closed).to.equal(slots);
      expect(engine.flying).to.deep.equal([]);
      chain.close();
      tfm.close();
    });

  for (const mode of ['mutex', 'staged', 'socket'] as const)
    it(`${mode}: requests of no bytes change nothing for those that follow`, async () => {
      const tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider: 'library', engine: 'sync' });
      const chain = new IvChain(tfm, { mode, direction, iv });
      const out: Buffer[] = [];
      const sizes = [0, 16, 0, 0, 32, 16, 0];
      for (const size of sizes) {
        out.push(Buffer.alloc(size));
        await chain.push(Buffer.alloc(size, 7), out.at(-1)!);
      }
      const right = createCipheriv(`aes-${key.length * 8}-cbc`, key, iv).setAutoPadding(false);
      expect(Buffer.concat(out)).to.deep.equal(right.update(Buffer.alloc(64, 7)));
      chain.close();
      tfm.close();
    });
});

describe('IvChain, what it refuses', () => {
  const engine = new ManualEngine();
  const tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider: 'library', engine });
  after(() => tfm.close());
  const make = (options: object) => () => new IvChain(tfm, options as never);
  const cases: [string, object, RegExp][] = [
    ['an unknown mode', { mode: 'magic', direction, iv }, /mode: expected inline, mutex/],
    ['a wrong direction', { mode: 'mutex', direction: 'both', iv }, /direction: expected encrypt, decrypt, got both/],
    ['no IV', { mode: 'mutex', direction }, /iv: expected the IV/],
    ['a short IV', { mode: 'mutex', direction, iv: Buffer.alloc(8) }, /iv: expected 16 bytes, got 8/],
    ['a depth of nothing', { mode: 'staged', direction, iv, depth: 0 }, /depth: expected a whole number from 1/],
    ['resolved encryption of CBC', { mode: 'resolved', direction, iv }, /mode: resolved expects IVs known in advance/],
    [
      'the hazard, which is an experiment',
      { mode: 'hazard', direction },
      /mode: expected inline, mutex, staged, socket, resolved, got hazard/,
    ],
  ];
  for (const [what, options, message] of cases)
    it(what, () => {
      expect(make(options)).to.throw(message);
    });

  it('ciphers that chain nothing', () => {
    const xts = new Tfm('skcipher', 'xts(aes)', { key: Buffer.concat([key, iv]), provider: 'library', engine });
    expect(() => new IvChain(xts, { mode: 'mutex', direction, iv })).to.throw(/mode: mutex expects a cipher/);
    expect(() => new IvChain(xts, { mode: 'socket', direction, iv })).to.throw(/mode: socket expects an IV carried/);
    xts.close();
  });

  it('requests that are wrong, and accepts the next', async () => {
    const chain = new IvChain(tfm, { mode: 'mutex', direction, iv });
    const never = () => expect.fail('called');
    expect(() => chain.submit(Buffer.alloc(16), Buffer.alloc(8), never)).to.throw(
      /dst: expected 16 bytes as src has, got 8/,
    );
    expect(() => chain.submit('x' as never, Buffer.alloc(8), never)).to.throw(
      /src: expected a Uint8Array or Buffer, got string/,
    );
    expect(() => chain.submit(Buffer.alloc(16), Buffer.alloc(16), never, iv)).to.throw(
      /iv: expected none for mode mutex/,
    );
    const pushed = chain.push(Buffer.alloc(16), Buffer.alloc(16));
    engine.complete(0);
    expect(await pushed).to.equal(16);
    chain.close();
    chain.close();
    expect(() => chain.submit(Buffer.alloc(16), Buffer.alloc(16), never)).to.throw(/the chain is closed/);
  });

  it("nothing beyond 'busy': room comes when the backlog has run half empty", async () => {
    const chain = new IvChain(tfm, { mode: 'mutex', direction, iv });
    const answers: string[] = [];
    const submit = () => answers.push(chain.submit(Buffer.alloc(16), Buffer.alloc(16), () => {}));
    do submit();
    while (answers.at(-1) !== 'busy');
    // One in flight and eight behind it.
    expect(answers.length).to.equal(9);
    let room = false;
    const waiting = chain.room().then(() => {
      room = true;
    });
    for (let left = 7; left >= 4; left--) {
      expect(room).to.equal(false);
      engine.complete(0);
      await settled();
    }
    await waiting;
    expect(room).to.equal(true);
    while (engine.flying.length) engine.complete(0);
    await chain.idle();
    await chain.room();
    chain.close();
  });

  it('anything behind a request of less than whole blocks', () => {
    const ctr = new Tfm('skcipher', 'ctr(aes)', { key, provider: 'library', engine });
    const chain = new IvChain(ctr, { mode: 'mutex', direction, iv });
    chain.submit(Buffer.alloc(17), Buffer.alloc(17), () => {});
    expect(() => chain.submit(Buffer.alloc(16), Buffer.alloc(16), () => {})).to.throw(/less than whole blocks of 16/);
    engine.complete(0);
    ctr.close();
  });

  it('close fails what has not started and lets what is in flight complete', async () => {
    const chain = new IvChain(tfm, { mode: 'staged', direction, iv, depth: 2 });
    const pushed = Array.from({ length: 5 }, () => chain.push(Buffer.alloc(16), Buffer.alloc(16)));
    const outcomes = Promise.allSettled(pushed);
    chain.close();
    engine.complete(0);
    const settledOutcomes = await outcomes;
    expect(settledOutcomes.map(({ status }) => status)).to.deep.equal([
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
      'rejected',
    ]);
    expect(engine.flying.length).to.equal(0);
  });
});
