import { expect } from 'chai';
import { LimitedLog } from '../../../lib/base/limited-log.js';
import { Budget } from '../../../lib/nbd/server/budget.js';
import { BufferPool, bufferBytes } from '../../../lib/nbd/server/buffer-pool.js';
import { ManualClock } from '../../support/manual-clock.js';

describe('budget of an NBD server', () => {
  const open = () => new Budget({ reserve: 10, total: 100, share: 60 });

  it('gives beyond reserves what there is, and again what is given back', () => {
    const budget = open();
    const [a, b, c] = [budget.open(), budget.open(), budget.open()];
    expect([a.take(110), b.take(11), budget.used]).to.deep.equal([true, false, 110]);
    a.give(30);
    expect([b.take(40), c.take(11), budget.used]).to.deep.equal([true, false, 120]);
    a.give(80);
    b.give(40);
    expect([c.take(110), budget.used]).to.deep.equal([true, 110]);
  });

  it('each account has its reserve, whatever the others hold', () => {
    const budget = open();
    for (const bytes of [60, 60]) expect(budget.open().take(bytes)).to.equal(true);
    for (let index = 0; index < 100; index++) {
      const small = budget.open();
      expect([small.take(4), small.take(6), small.take(1)]).to.deep.equal([true, true, false]);
      small.give(6);
      expect([small.take(6), small.take(1)]).to.deep.equal([true, false]);
    }
  });

  it('an account that holds something gets no more than its share, one that holds nothing what it needs', () => {
    const account = open().open();
    expect([account.take(1), account.take(60), account.take(59)]).to.deep.equal([true, false, true]);
    account.give(60);
    expect(account.take(110)).to.equal(true);
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
  it('has one line for what its clients say in several', () => {
    const lines: string[] = [];
    new LimitedLog((line) => lines.push(line), new ManualClock()).line('error:1:\r\n\x1b[2Jroutines\n\n');
    expect(lines).to.deep.equal(['error:1: [2Jroutines']);
  });

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
