import { expect } from 'chai';
import { Bio, type BioError } from '../../lib/dm/bio.js';
import { type MappedLine, MappedTable } from '../../lib/dm/mapped-table.js';
import { RangeLock } from '../../lib/dm/range-lock.js';
import { Join } from '../../lib/dm/split.js';

describe('bio', () => {
  it('ends once: the second time is an error, and endio is not called again', () => {
    const ends: (BioError | null)[] = [];
    const bio = new Bio({ op: 'read', sector: 3, bytes: new Uint8Array(1024) }, (error) => ends.push(error));
    expect(bio.ended).to.equal(false);
    bio.end();
    expect(bio.ended).to.equal(true);
    expect(() => bio.end('EIO')).to.throw('bio ended twice: read of 2 sectors at 3');
    expect(ends).to.deep.equal([null]);
  });

  it('makes of a code alone the failure of all its sectors', () => {
    let result: BioError | null = null;
    new Bio({ op: 'discard', sector: 8, sectors: 16 }, (error) => {
      result = error;
    }).end('EIO');
    expect(result).to.deep.equal({ code: 'EIO', failed: [{ first: 0, count: 16 }] });
  });
});

describe('Join', () => {
  const bytes = Uint8Array.from({ length: 4 * 512 }, (_, index) => index >> 9);

  function joined(): { join: Join; ends: (BioError | null)[] } {
    const ends: (BioError | null)[] = [];
    return { join: new Join(new Bio({ op: 'write', sector: 100, bytes, fua: true }, (e) => ends.push(e))), ends };
  }

  it('ends the bio with the last piece, in whatever order they end', () => {
    const { join, ends } = joined();
    const pieces = [0, 1, 2, 3].map((first) => join.piece(first, 1, 50 + first));
    join.close();
    expect(pieces.map((piece) => [piece.op, piece.sector, piece.fua, piece.bytes[0]])).to.deep.equal(
      [0, 1, 2, 3].map((first) => ['write', 50 + first, true, first]),
    );
    for (const index of [2, 0, 3]) pieces[index]!.end();
    expect(ends).to.deep.equal([]);
    pieces[1]!.end();
    expect(ends).to.deep.equal([null]);
  });

  it('does not end before it is closed, when pieces end while they are submitted', () => {
    const { join, ends } = joined();
    join.piece(0, 4, 0).end();
    expect(ends).to.deep.equal([]);
    join.close();
    expect(ends).to.deep.equal([null]);
  });

  it('tells the failed sectors of every piece, counted from the start of the bio', () => {
    const { join, ends } = joined();
    const [a, b] = [join.piece(0, 2, 7), join.piece(2, 2, 9)];
    join.close();
    b.end({ code: 'EILSEQ', failed: [{ first: 1, count: 1 }] });
    a.end('EIO');
    const failed = [
      { first: 3, count: 1 },
      { first: 0, count: 2 },
    ];
    expect(ends).to.deep.equal([{ code: 'EILSEQ', failed }]);
  });
});

describe('RangeLock', () => {
  /** Lets what is ready go on. */
  const settle = () => new Promise(setImmediate);

  it('lets readers share, and makes who overlaps a writer wait in the order of asking', async () => {
    const lock = new RangeLock();
    const entered: string[] = [];
    const release: Record<string, () => void> = {};
    const ask = (name: string, first: number, count: number, exclusive: boolean) =>
      lock.acquire(first, count, exclusive, (give) => {
        entered.push(name);
        release[name] = give;
      });
    ask('read 0-4', 0, 4, false);
    ask('read 2-6', 2, 4, false);
    ask('write 3-5', 3, 2, true);
    ask('read 4-8', 4, 4, false);
    ask('write 6-7', 6, 1, true);
    ask('write 9', 9, 1, true);
    await settle();
    expect(entered.splice(0)).to.deep.equal(['read 0-4', 'read 2-6', 'write 9']);
    release['read 0-4']!();
    await settle();
    expect(entered).to.deep.equal([]);
    release['read 2-6']!();
    await settle();
    expect(entered.splice(0)).to.deep.equal(['write 3-5']);
    release['write 3-5']!();
    release['write 3-5']!();
    await settle();
    expect(entered.splice(0)).to.deep.equal(['read 4-8']);
    release['read 4-8']!();
    await settle();
    expect(entered).to.deep.equal(['write 6-7']);
  });
});

describe('a mapped bio', () => {
  /** A target that keeps what it is given. */
  const keeping = (taken: Bio[], maxSectors?: number) =>
    ({ blockSize: 512, maxSectors, map: (bio: Bio) => void taken.push(bio) }) as unknown as MappedLine['target'];
  const lineOf = (start: number, length: number, target: MappedLine['target']): MappedLine =>
    ({ start, length, type: 'test', args: [], target }) as unknown as MappedLine;

  for (const op of ['read', 'write'] as const)
    it(`${op}: one that needs no cut is given as it is, without a Join`, () => {
      const taken: Bio[] = [];
      const table = new MappedTable([lineOf(0, 100, keeping([])), lineOf(100, 50, keeping(taken, 50))], []);
      for (const [sector, sectors] of [
        [100, 1],
        [100, 50],
        [149, 1],
      ] as const) {
        const bytes = new Uint8Array(sectors * 512);
        const ends: unknown[] = [];
        table.map(new Bio({ op, sector, bytes, fua: op === 'write' }, (error) => ends.push(error)), () =>
          ends.push('ended'),
        );
        const bio = taken.pop()!;
        // A Join's pieces are views of their own.
        expect(bio.bytes).to.equal(bytes);
        expect(bio).to.include({ op, sector: sector - 100, sectors, fua: op === 'write' });
        const failed = { code: 'EIO', failed: [{ first: sectors - 1, count: 1 }] };
        bio.end(failed);
        expect(ends).to.deep.equal(['ended', failed]);
      }
    });

  it('one that does is cut, and what reaches beyond the end is refused', () => {
    const [first, second]: [Bio[], Bio[]] = [[], []];
    const table = new MappedTable([lineOf(0, 100, keeping(first)), lineOf(100, 50, keeping(second, 8))], []);
    const ends: unknown[] = [];
    table.map(
      new Bio({ op: 'write', sector: 98, bytes: new Uint8Array(12 * 512) }, (error) => ends.push(error)),
      () => {},
    );
    expect(first.map(({ sector, sectors }) => [sector, sectors])).to.deep.equal([[98, 2]]);
    expect(second.map(({ sector, sectors }) => [sector, sectors])).to.deep.equal([
      [0, 8],
      [8, 2],
    ]);
    for (const bio of [...first, ...second]) {
      expect(ends).to.deep.equal([]);
      bio.end();
    }
    expect(ends).to.deep.equal([null]);
    table.map(
      new Bio({ op: 'read', sector: 149, bytes: new Uint8Array(2 * 512) }, (error) => ends.push(error?.code)),
      () => {},
    );
    expect(ends).to.deep.equal([null, 'EIO']);
  });
});
