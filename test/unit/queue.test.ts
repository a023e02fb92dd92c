import { expect } from 'chai';
import fc from 'fast-check';
import { Mempool } from '../../lib/base/mempool.js';
import { Reserved } from '../../lib/base/reserved.js';
import { openLanes, type Work } from '../../lib/crypto/engine/engine.js';
import { Tfm } from '../../lib/crypto/request/tfm.js';
import { Backlog } from '../../lib/dm/memory/backlog.js';
import { SortedQueue } from '../../lib/dm/targets/crypt/sorted-queue.js';
import { ManualEngine, permutations } from '../support/manual-engine.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('Mempool', () => {
  const counted = (reserve: number, spare = 0) => {
    let made = 0;
    const allocate = () => {
      if (made === reserve + spare) throw new RangeError('Array buffer allocation failed');
      return { number: made++ };
    };
    return new Mempool({ reserve, allocate, bytes: 100 });
  };

  it('makes its reserve at once, and more only when that is taken', async () => {
    const pool = counted(2, 1);
    expect(pool.memoryUsage()).to.deep.equal({ reserved: 200, inUse: 0 });
    const items = [await pool.take(), await pool.take(), await pool.take()];
    expect(new Set(items.map(({ number }) => number))).to.have.property('size', 3);
    expect(pool.memoryUsage()).to.deep.equal({ reserved: 0, inUse: 300 });
    for (const item of items) pool.give(item);
    expect(pool.memoryUsage()).to.deep.equal({ reserved: 200, inUse: 0 });
  });

  it('never fails: without memory it waits, in the order of asking', async () => {
    const pool = counted(1);
    const first = await pool.take();
    const order: number[] = [];
    const takers = [0, 1, 2].map(async (index) => {
      const item = await pool.take();
      expect(item).to.equal(first);
      order.push(index);
      pool.give(item);
    });
    await turn();
    expect(pool.waiting).to.equal(3);
    expect(order).to.deep.equal([]);
    pool.give(first);
    await Promise.all(takers);
    expect(order).to.deep.equal([0, 1, 2]);
    expect(pool.memoryUsage()).to.deep.equal({ reserved: 100, inUse: 0 });
  });

  it('a bio that has given its further requests back holds its own alone', async () => {
    const pool = counted(3);
    const bio = new Reserved({ number: -1 }, pool);
    expect(bio.held).to.equal(1);
    const taken = [await bio.take(), await bio.take(), await bio.take()];
    expect(taken[0]).to.equal(bio.own);
    expect([bio.held, pool.memoryUsage().inUse]).to.deep.equal([3, 200]);
    for (const [index, request] of taken.entries()) {
      bio.give(request);
      expect(bio.held).to.equal([3, 2, 1][index]);
    }
    expect(await bio.take(), 'its own comes first again').to.equal(bio.own);
    expect([bio.held, pool.memoryUsage().inUse]).to.deep.equal([1, 0]);
  });

  it('a reserve that cannot be made is an error at once', () => {
    const allocate = () => {
      throw new RangeError('no memory');
    };
    expect(() => new Mempool({ reserve: 1, allocate, bytes: 1 })).to.throw(RangeError, 'no memory');
    expect(() => new Mempool({ reserve: -1, allocate, bytes: 1 })).to.throw(RangeError, 'reserve: expected');
    expect(new Mempool({ reserve: 0, allocate, bytes: 1 }).waiting).to.equal(0);
  });
});

describe('Backlog', () => {
  /** A manual engine that is busy from `depth` in flight on. */
  class Small extends ManualEngine {
    override readonly depth: number;
    #waiting: (() => void)[] = [];
    constructor(depth: number) {
      super();
      this.depth = depth;
    }
    override submit(...args: Parameters<ManualEngine['submit']>) {
      super.submit(...args);
      return this.flying.length >= this.depth ? 'busy' : 'in progress';
    }
    override async room(): Promise<void> {
      while (this.flying.length >= this.depth) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    override complete(place: number, result = 0): void {
      super.complete(place, result);
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }
  const outcome = { result: 0, asynchronous: false, began: 0, ended: 0 };
  const work = (): Work => ({ ...outcome, execute: () => 0, dispatch: () => 0 });

  for (const order of permutations(4))
    it(`holds back what the engine has no room for, and nothing is lost: completions ${order.join('')}`, async () => {
      const engine = new Small(2);
      const backlog = new Backlog(engine);
      const works = order.map(() => work());
      const ended: number[] = [];
      const answers = works.map((each, index) => backlog.submit(each, () => ended.push(index)));
      expect(answers).to.deep.equal(['in progress', 'busy', 'busy', 'busy']);
      expect([engine.flying.length, backlog.held]).to.deep.equal([2, 2]);
      let room = false;
      const waiting = backlog.room().then(() => {
        room = true;
      });
      for (const rank of order) {
        // The work of this rank among those in flight.
        engine.complete(rank % engine.flying.length);
        await turn();
        expect(engine.flying.length).to.be.at.most(2);
      }
      expect([...ended].sort()).to.deep.equal([0, 1, 2, 3]);
      expect([room, engine.submitted, backlog.held]).to.deep.equal([true, 4, 0]);
      await waiting;
    });

  it('a work that comes while others are passed on waits behind them', async () => {
    const instant = work();
    /** Ends this one work at once. */
    class Quick extends Small {
      override submit(...args: Parameters<ManualEngine['submit']>) {
        if (args[0] === instant) return 'done' as never;
        return super.submit(...args);
      }
    }
    const engine = new Quick(2);
    const backlog = new Backlog(engine);
    const [first, second, third, late] = [work(), work(), work(), work()];
    backlog.submit(first, () => {});
    backlog.submit(second, () => {});
    backlog.submit(instant, () => backlog.submit(late, () => {}));
    backlog.submit(third, () => {});
    const seen: Work[] = [];
    while (engine.flying.length) {
      seen.push(engine.flying[0]!.work);
      engine.complete(0);
      await turn();
    }
    expect(seen.map((each) => [first, second, third, late].indexOf(each))).to.deep.equal([0, 1, 2, 3]);
  });

  it('passes works on in the order of their coming, also those that come while it empties itself', async () => {
    const engine = new Small(1);
    const backlog = new Backlog(engine);
    const works = [0, 1, 2, 3].map(work);
    const seen: Work[] = [];
    backlog.submit(works[0]!, () => backlog.submit(works[3]!, () => {}));
    backlog.submit(works[1]!, () => {});
    backlog.submit(works[2]!, () => {});
    while (engine.flying.length) {
      seen.push(engine.flying[0]!.work);
      engine.complete(0);
      await turn();
    }
    expect(seen).to.deep.equal(works);
  });
});

describe('Backlog, works that cannot run any more', () => {
  const key = new Uint8Array(16);
  const fields = { direction: 'encrypt', unitSize: 64, ivs: new Uint8Array(16) } as const;

  for (const depth of [1, 2])
    it(`of a tfm that has been closed: each ends with EBADF and gives its place to others, depth ${depth}`, async () => {
      const backlog = new Backlog(openLanes(1, depth));
      const [closed, open] = [0, 1].map(
        () => new Tfm('skcipher', 'cbc(aes)', { key, provider: 'library', engine: backlog }),
      );
      const make = (tfm: Tfm) => tfm.batch({ ...fields, src: new Uint8Array(64), dst: new Uint8Array(64) });
      const codes: unknown[] = [];
      const run = (tfm: Tfm) =>
        make(tfm)
          .run()
          .then(
            (bytes) => codes.push(bytes),
            (error) => codes.push(error.code),
          );
      const request = Object.assign(closed!.request(), {
        src: new Uint8Array(64),
        dst: new Uint8Array(64),
        iv: new Uint8Array(16),
      });
      const runs = [run(open!), run(open!), run(closed!), run(closed!), run(open!)];
      const held = request.run().then(String, (error) => error.code);
      closed!.close();
      await Promise.all(runs);
      expect(codes).to.deep.equal([64, 64, 'EBADF', 'EBADF', 64]);
      expect(await held, 'a request that was in flight when its tfm was closed completes').to.equal('64');
      await backlog.room();
      expect(backlog.held).to.equal(0);
      expect(await make(open!).run(), 'and the backlog is as good as before').to.equal(64);
      open!.close();
      backlog.close();
    });

  it('an exception of one callback keeps no other work from the engine', async () => {
    const backlog = new Backlog(openLanes(1, 1));
    const tfm = new Tfm('skcipher', 'cbc(aes)', { key, provider: 'library', engine: backlog });
    const gone = new Tfm('skcipher', 'cbc(aes)', { key, provider: 'library', engine: backlog });
    const make = (of: Tfm) => of.batch({ ...fields, src: new Uint8Array(64), dst: new Uint8Array(64) });
    const first = make(tfm).run();
    const thrown = new Promise((resolve) => {
      const others = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.once('uncaughtException', (error) => {
        for (const other of others) process.on('uncaughtException', other);
        resolve(error.message);
      });
    });
    make(gone).submit(() => {
      throw new Error('of a callback');
    });
    const last = make(tfm).run();
    gone.close();
    expect(await thrown).to.equal('of a callback');
    expect([await first, await last, backlog.held]).to.deep.equal([64, 64, 0]);
    tfm.close();
    backlog.close();
  });
});

describe('SortedQueue', () => {
  it('gives what has come by its turn in the order of keys, equal ones as they came, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 200 }), (keys) => {
        const given: { key: number; index: number }[] = [];
        const turns: (() => void)[] = [];
        const queue = new SortedQueue<{ key: number; index: number }>(
          (item) => given.push(item),
          (go) => turns.push(go),
        );
        keys.forEach((key, index) => {
          queue.add(key, { key, index });
        });
        expect(turns.length).to.equal(keys.length ? 1 : 0);
        expect(given).to.deep.equal([]);
        turns[0]?.();
        const expected = keys.map((key, index) => ({ key, index })).sort((a, b) => a.key - b.key || a.index - b.index);
        expect(given).to.deep.equal(expected);
      }),
      { seed: 20261121, numRuns: 300 },
    );
  });

  it('ten thousand sectors that only rise', () => {
    const given: number[] = [];
    const turns: (() => void)[] = [];
    const queue = new SortedQueue<number>(
      (item) => given.push(item),
      (go) => turns.push(go),
    );
    const keys = Array.from({ length: 10_000 }, (_, index) => index);
    for (const key of keys) queue.add(key, key);
    turns[0]!();
    expect(given).to.deep.equal(keys);
  });

  it('what comes while it gives waits for another turn', () => {
    const given: number[] = [];
    const turns: (() => void)[] = [];
    const queue: SortedQueue<number> = new SortedQueue(
      (item) => {
        given.push(item);
        if (item === 1) queue.add(0, 0);
      },
      (go) => turns.push(go),
    );
    queue.add(2, 2);
    queue.add(1, 1);
    turns.shift()!();
    expect(given).to.deep.equal([1, 2]);
    turns.shift()!();
    expect(given).to.deep.equal([1, 2, 0]);
  });
});
