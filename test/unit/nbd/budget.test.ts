import { expect } from 'chai';
import { LimitedLog } from '../../../lib/base/limited-log.js';
import { Budget, type Holder } from '../../../lib/nbd/server/budget.js';
import { BufferPool, bufferBytes } from '../../../lib/nbd/server/buffer-pool.js';
import { ManualClock } from '../../support/manual-clock.js';

const settle = () => new Promise(setImmediate);
const idle: Holder = { stalledSince: () => undefined, evict: () => {} };

describe('budget of an NBD server', () => {
  const open = () => {
    const clock = new ManualClock();
    return { clock, budget: new Budget({ total: 100, share: 30, patience: 1000, clock }) };
  };

  it('gives at once what there is, and in line what is given back', async () => {
    const { budget } = open();
    const entered: string[] = [];
    const [a, b, c, d] = [budget.open(idle), budget.open(idle), budget.open(idle), budget.open(idle)];
    expect([a.take(60), b.take(40)]).to.deep.equal([undefined, undefined]);
    void c.take(50)!.then(() => entered.push('c'));
    void d.take(1)!.then(() => entered.push('d'));
    b.give(40);
    await settle();
    expect(entered).to.deep.equal([]); // what needs more is not overtaken
    a.give(60);
    await settle();
    expect([entered, budget.used]).to.deep.equal([['c', 'd'], 51]);
  });

  it('a connection that has used up its share waits for itself alone', async () => {
    const { budget, clock } = open();
    const [greedy, other] = [budget.open(idle), budget.open(idle)];
    expect(greedy.take(20)).to.equal(undefined);
    let entered = false;
    void greedy.take(20)!.then(() => {
      entered = true;
    });
    expect(other.take(60)).to.equal(undefined);
    other.give(60);
    expect(clock.timers).to.equal(0);
    greedy.give(20);
    await settle();
    expect([entered, budget.used]).to.deep.equal([true, 20]);
  });

  it('evicts who does not take or send its bytes, once others have waited for long enough', async () => {
    const { budget, clock } = open();
    const evicted: string[] = [];
    const holder = (name: string, stalled: boolean) => {
      const since = stalled ? clock.now() : undefined;
      const account = budget.open({
        stalledSince: () => since,
        evict: () => {
          evicted.push(name);
          account.give(account.used);
        },
      });
      return account;
    };
    holder('slow', true).take(50);
    holder('busy', false).take(50);
    clock.pass(5000);
    expect(evicted).to.deep.equal([]); // nobody waits
    let entered = false;
    void budget
      .open(idle)
      .take(10)!
      .then(() => {
        entered = true;
      });
    clock.pass(999);
    expect(evicted).to.deep.equal([]);
    clock.pass(1);
    await settle();
    expect([evicted, entered, clock.timers]).to.deep.equal([['slow'], true, 0]);
  });
});

describe('buffer pool of an NBD server', () => {
  it('uses buffers again, and holds no more than its limit', () => {
    const pool = new BufferPool(64 * 1024);
    const first = pool.take(5000);
    expect(first.length).to.equal(8192);
    pool.give(first);
    expect(pool.take(8192)).to.equal(first);
    pool.give(first);
    const many = Array.from({ length: 14 }, () => pool.take(1));
    expect([pool.bytes, pool.take(4096).length]).to.deep.equal([64 * 1024, 4096]); // the idle one had to go
    for (const buffer of many) pool.give(buffer);
    expect(pool.take(32 * 1024).length).to.equal(32 * 1024);
    expect(pool.bytes).to.be.at.most(64 * 1024);
    expect([0, 1, 4096, 4097, 2 ** 25].map(bufferBytes)).to.deep.equal([4096, 4096, 4096, 8192, 2 ** 25]);
  });
});

describe('log of an NBD server', () => {
  it('is no flood, and says what is missing', () => {
    const clock = new ManualClock();
    const lines: string[] = [];
    const log = new LimitedLog((line) => lines.push(line), clock);
    for (let index = 0; index < 150; index++) log.line(`${index}`);
    expect(lines).to.have.length(100);
    clock.pass(60_000);
    log.line('later');
    expect(lines.slice(-2)).to.deep.equal(['50 more lines were left out', 'later']);
  });
});
