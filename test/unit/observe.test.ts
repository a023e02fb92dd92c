import { type ChannelListener, subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Work } from '../../lib/crypto/engine/engine.js';
import { Tfm } from '../../lib/crypto/request/tfm.js';
import { Bio, type BioError } from '../../lib/dm/bio.js';
import { Backlog } from '../../lib/dm/memory/backlog.js';
import { openTable } from '../../lib/dm/open-table.js';
import type { BacklogEvent, BioEvent, CorrectionEvent, CorruptionEvent, RequestEvent } from '../../lib/index.js';
import { verifyVerity } from '../../lib/verity/verify.js';
import { ManualDevice } from '../support/manual-device.js';
import { ManualEngine, permutations } from '../support/manual-engine.js';
import { VerityTestImage } from '../support/verity-image.js';

interface Events {
  request: RequestEvent;
  bio: BioEvent;
  corruption: CorruptionEvent;
  correction: CorrectionEvent;
  backlog: BacklogEvent;
}

const key = '000102030405060708090a0b0c0d0e0fF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF';
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

describe('diagnostics channels', function () {
  this.timeout(600_000);
  const leave: (() => void)[] = [];
  afterEach(() => {
    for (const each of leave.splice(0)) each();
  });

  /** What is published from now until the end of the test. */
  function watch<Name extends keyof Events>(name: Name): Events[Name][] {
    const seen: Events[Name][] = [];
    const listen: ChannelListener = (message) => void seen.push(message as Events[Name]);
    subscribe(`dmalg:${name}`, listen);
    leave.push(() => unsubscribe(`dmalg:${name}`, listen));
    return seen;
  }
  const timeless = <T extends { duration: number }>(events: readonly T[]) =>
    events.map(({ duration, ...rest }) => {
      expect(duration, 'nanoseconds').to.satisfy(Number.isSafeInteger).and.to.be.at.least(0);
      return rest;
    });

  const ctr = { type: 'skcipher', alg: 'ctr(aes)', provider: 'library', direction: 'encrypt' } as const;

  it('a request is told of once, whichever way it is run', async () => {
    using tfm = new Tfm('skcipher', 'ctr(aes)', { key: Buffer.alloc(16), provider: 'library', engine: 'lanes' });
    using request = tfm.request();
    Object.assign(request, { iv: Buffer.alloc(16), src: Buffer.alloc(48), dst: Buffer.alloc(48) });
    request.runSync(); // nobody hears of it
    const seen = watch('request');
    request.runSync();
    await request.run();
    await tfm
      .batch({
        direction: 'decrypt',
        unitSize: 16,
        ivs: Buffer.alloc(48),
        src: Buffer.alloc(48),
        dst: Buffer.alloc(48),
      })
      .run();
    const one = { ...ctr, bytes: 48, units: 1, error: null };
    expect(timeless(seen)).to.deep.equal([
      { ...one, engine: 'sync', asynchronous: false },
      { ...one, engine: 'lanes', asynchronous: true },
      { ...one, direction: 'decrypt', units: 3, engine: 'lanes', asynchronous: true },
    ]);
  });

  for (const order of permutations(3))
    it(`requests on an engine whose completions come in the order ${order.join('')}: each at its own end`, () => {
      const engine = new ManualEngine();
      using tfm = new Tfm('skcipher', 'ctr(aes)', { key: Buffer.alloc(16), provider: 'library', engine });
      const seen = watch('request');
      const done: number[] = [];
      [16, 32, 64].forEach((length, index) => {
        const request = tfm.request();
        Object.assign(request, { iv: Buffer.alloc(16), src: Buffer.alloc(length), dst: Buffer.alloc(length) });
        request.submit(() => done.push(index));
      });
      expect(seen).to.deep.equal([]);
      const works = engine.flying.map(({ work }) => work);
      for (const index of order) {
        const place = engine.flying.findIndex(({ work }) => work === works[index]);
        engine.complete(place, index === 1 ? -5 : undefined);
      }
      expect(done).to.deep.equal(order);
      expect(timeless(seen)).to.deep.equal(
        order.map((index) => {
          const end = { engine: 'manual', asynchronous: true, error: index === 1 ? 'EIO' : null };
          return { ...ctr, bytes: [16, 32, 64][index], units: 1, ...end };
        }),
      );
    });

  it('a request that is no request, and one of no bytes, are none', () => {
    using tfm = new Tfm('skcipher', 'ctr(aes)', { key: Buffer.alloc(16), provider: 'library' });
    using request = tfm.request();
    Object.assign(request, { iv: Buffer.alloc(16), src: Buffer.alloc(48), dst: Buffer.alloc(47) });
    const seen = watch('request');
    expect(() => request.runSync()).to.throw(RangeError);
    expect(seen).to.deep.equal([]);
  });

  it('what is not authentic has its errno', () => {
    using tfm = new Tfm('aead', 'gcm(aes)', { key: Buffer.alloc(16), provider: 'library' });
    using request = tfm.request();
    const fields = { direction: 'decrypt', iv: Buffer.alloc(12), src: Buffer.alloc(20), dst: Buffer.alloc(4) };
    Object.assign(request, fields);
    const seen = watch('request');
    expect(() => request.runSync()).to.throw(/authentication failed/);
    expect(seen.map(({ alg, bytes, error }) => [alg, bytes, error])).to.deep.equal([['gcm(aes)', 20, 'EBADMSG']]);
  });

  it('a bio is told of once for each target that has a part of it, with what failed', async () => {
    const engine = new ManualEngine();
    const below = new ManualDevice(65536);
    const lines = `0 64 crypt aes-xts-plain64 ${key} 0 below 0\n64 64 zero\n128 8 error`;
    const device = await openTable(lines, { provider: 'library', engine, devices: { below } });
    const bios = watch('bio');
    const requests = watch('request');
    const ends: (BioError | null)[] = [];
    const submit = (op: 'read' | 'write', sector: number, sectors: number) =>
      device.submit(new Bio({ op, sector, bytes: Buffer.alloc(sectors * 512) }, (error) => ends.push(error)));
    submit('write', 60, 8);
    await until(() => engine.flying.length === 1);
    expect(bios.map(({ target }) => target)).to.deep.equal(['zero']);
    engine.complete(0, -5);
    await until(() => ends.length === 1);
    submit('read', 130, 1);
    submit('read', 130, 100);
    device.submit(new Bio({ op: 'discard', sector: 0, sectors: 8 }, (error) => ends.push(error)));
    expect(ends.length).to.equal(4);
    await device.close();
    submit('read', 0, 1);
    const { device: id } = bios[0]!;
    const one = { device: id, fua: false, asynchronous: false, error: null, failed: [] };
    expect(timeless(bios)).to.deep.equal([
      { ...one, target: 'zero', op: 'write', sector: 64, sectors: 4, bytes: 2048 },
      {
        ...one,
        ...{ target: 'crypt', op: 'write', sector: 60, sectors: 4, bytes: 2048, asynchronous: true, error: 'EIO' },
        failed: [60, 61, 62, 63].map((sector) => ({ sector, sectors: 1 })),
      },
      {
        ...one,
        ...{ target: 'error', op: 'read', sector: 130, sectors: 1, bytes: 512, error: 'EIO' },
        failed: [{ sector: 130, sectors: 1 }],
      },
      {
        ...one,
        ...{ target: null, op: 'read', sector: 130, sectors: 100, bytes: 51200, error: 'EIO' },
        failed: [{ sector: 130, sectors: 100 }],
      },
      {
        ...one,
        ...{ target: null, op: 'discard', sector: 0, sectors: 8, bytes: 0, error: 'EOPNOTSUPP' },
        failed: [{ sector: 0, sectors: 8 }],
      },
      {
        ...one,
        ...{ target: null, op: 'read', sector: 0, sectors: 1, bytes: 512, error: 'ENXIO' },
        failed: [{ sector: 0, sectors: 1 }],
      },
    ]);
    expect(requests.map(({ alg, units, error }) => [alg, units, error])).to.deep.equal([['xts(aes)', 4, 'EIO']]);
    expect(JSON.stringify([bios, requests]).toLowerCase()).to.not.include(key.slice(0, 16).toLowerCase());
  });

  it('bios end for their submitters as they do when nobody watches, whatever the order', async () => {
    const below = new ManualDevice(65536);
    const device = await openTable('0 64 linear below 8\n64 64 linear below 0', { devices: { below } });
    const bios = watch('bio');
    const read = device.read(60 * 512, 8 * 512);
    await until(() => below.waiting.length === 2);
    expect(below.list).to.deep.equal(['read 68+4', 'read 0+4']);
    below.go(1);
    below.go(0);
    expect((await read).length).to.equal(4096);
    // Where the target has moved the bio to is not what is told.
    expect(bios.map(({ sector, sectors, asynchronous }) => [sector, sectors, asynchronous])).to.deep.equal([
      [64, 4, true],
      [60, 4, true],
    ]);
    await device.close();
  });

  it('a backlog is told of when it begins and when it ends, not for each work', async () => {
    class Small extends ManualEngine {
      override readonly depth = 1;
      #room: (() => void)[] = [];
      override submit(...args: Parameters<ManualEngine['submit']>) {
        super.submit(...args);
        return 'busy' as const;
      }
      override room(): Promise<void> {
        return new Promise((resolve) => this.#room.push(resolve));
      }
      override complete(place: number, result = 0): void {
        super.complete(place, result);
        for (const resolve of this.#room.splice(0)) resolve();
      }
    }
    const work = (): Work => ({
      ...{ result: 0, asynchronous: false, began: 0, ended: 0 },
      execute: () => 0,
      dispatch: () => 0,
    });
    const engine = new Small();
    const backlog = new Backlog(engine);
    const seen = watch('backlog');
    for (const round of [1, 2]) {
      for (let index = 0; index < 4; index++) backlog.submit(work(), () => {});
      expect([seen.length, backlog.holdings().backlog]).to.deep.equal([2 * round - 1, 3]);
      while (engine.flying.length) {
        engine.complete(0, -5);
        await turn();
      }
      expect(seen.length).to.equal(2 * round);
    }
    const one = { engine: 'manual', depth: 1 };
    const [begin, end] = [
      { ...one, state: 'begin', held: 1 },
      { ...one, state: 'end', held: 3 },
    ];
    expect(timeless(seen)).to.deep.equal([begin, end, begin, end]);
  });

  describe('corruption', () => {
    let folder = '';
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'dmalg-observe-'));
    });
    afterEach(() => rmSync(folder, { recursive: true }));
    const words = (events: readonly CorruptionEvent[]) =>
      events.map(({ kind, area, level, block, outcome }) => `${kind} ${area} ${level} ${block} ${outcome}`).sort();

    it('each bad block that is read, and what became of it', async () => {
      const image = await VerityTestImage.make(folder, { blocks: 300 });
      image.spoil('data', 5);
      image.spoil('hash', 2); // data blocks 128 to 255
      await using device = await openTable(image.line([]), { readOnly: true, provider: 'library' });
      const [corrupt, correct] = [watch('corruption'), watch('correction')];
      await device.read(0, device.size).catch(() => {});
      expect(words(corrupt)).to.deep.equal(['corrupted data -1 5 failed', 'corrupted hash 0 3 failed']);
      expect(corrupt.map(({ device: name }) => name).sort()).to.deep.equal(
        [image.path('data'), image.path('hash')].sort(),
      );
      expect(correct).to.deep.equal([]);
    });

    it('what FEC corrects, and what the table asks for', async () => {
      const image = await VerityTestImage.make(folder, { blocks: 300, roots: 2 });
      image.spoil('data', 7);
      const fec = await openTable(image.line([]), { readOnly: true, provider: 'library' });
      const [corrupt, correct] = [watch('corruption'), watch('correction')];
      expect(image.bytes.equals(await fec.read(0, fec.size))).to.equal(true);
      await fec.close();
      expect(words(corrupt)).to.deep.equal(['corrupted data -1 7 corrected']);
      expect(correct).to.deep.equal([{ area: 'data', level: -1, block: 7, device: image.path('data'), by: 'fec' }]);
    });

    it('verifyVerity tells of each block that it finds', async () => {
      const image = await VerityTestImage.make(folder, { blocks: 300 });
      image.spoil('data', 5);
      image.spoil('data', 299);
      const corrupt = watch('corruption');
      const found = await verifyVerity(image.path('data'), image.path('hash'), image.rootHash, { maxErrors: 1 });
      expect([found.badDataBlocks, found.bad.length]).to.deep.equal([2, 1]);
      expect(words(corrupt)).to.deep.equal(['corrupted data -1 299 reported', 'corrupted data -1 5 reported']);
    });
  });
});
