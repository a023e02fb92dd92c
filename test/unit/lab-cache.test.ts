import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { buildOnce, cacheFolder, requireSpace } from '../../lib/lab/cache.js';
import { LabError } from '../../lib/lab/error.js';

describe('lab: cache', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function failure(work: Promise<unknown>): Promise<Error> {
    return work.then(
      () => expect.fail('no error'),
      (error: Error) => error,
    );
  }

  it('is in DMALG_CACHE, else XDG_CACHE_HOME, else the home folder', () => {
    expect(cacheFolder({ DMALG_CACHE: '/c', XDG_CACHE_HOME: '/x' })).to.equal('/c');
    expect(cacheFolder({ XDG_CACHE_HOME: '/x' })).to.equal('/x/dmalg');
    expect(cacheFolder({})).to.match(/\/\.cache\/dmalg$/);
  });

  it('builds a thing once, and gives its path afterwards', async () => {
    let builds = 0;
    const build = async (path: string) => {
      builds++;
      writeFileSync(path, 'x');
    };
    for (let n = 0; n < 2; n++) expect(await buildOnce(folder, 'thing', build)).to.equal(join(folder, 'thing'));
    expect(builds).to.equal(1);
    expect(readdirSync(folder)).to.deep.equal(['thing']);
  });

  it('lets two build the same folder at once: one wins, whole, and nothing is left of the other', async () => {
    const waiting: (() => void)[] = [];
    const bothThere = new Promise<void>((resolve) => waiting.push(resolve));
    let started = 0;
    const build = (text: string) => async (path: string) => {
      mkdirSync(path);
      writeFileSync(join(path, 'a'), text);
      if (++started === 2) for (const go of waiting) go();
      await bothThere;
      writeFileSync(join(path, 'b'), text);
    };
    const paths = await Promise.all([buildOnce(folder, 'thing', build('1')), buildOnce(folder, 'thing', build('2'))]);
    expect(new Set(paths).size).to.equal(1);
    expect(readFileSync(join(paths[0], 'a'), 'utf8')).to.equal(readFileSync(join(paths[0], 'b'), 'utf8'));
    expect(readdirSync(folder)).to.deep.equal(['thing']);
  });

  it('leaves nothing of a build that failed', async () => {
    const error = await failure(
      buildOnce(folder, 'thing', async (path) => {
        mkdirSync(path);
        throw new Error('broken');
      }),
    );
    expect(error.message).to.equal('broken');
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  for (const [cause, error] of [
    ['a full disk that node reports', Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' })],
    ['a full disk that a program reports', new Error('dpkg-deb: error: write: No space left on device')],
    ['a full disk that apt foresees', new Error("E: You don't have enough free space in /x/.")],
    ['a quota', Object.assign(new Error('EDQUOT'), { code: 'EDQUOT' })],
  ] as const)
    it(`says the folder and the remedy for ${cause}`, async () => {
      const thrown = await failure(buildOnce(folder, 'thing', () => Promise.reject(error)));
      expect(thrown).to.be.instanceOf(LabError).with.property('code', 'space');
      expect(thrown.message).to.include(folder).and.to.include('DMALG_CACHE').and.not.include('\n');
    });

  it('removes what killed runs left, but not what a live one is building', async () => {
    const namespace = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
    // The largest pid there can be, 2^22, is never given to a process.
    const dead = join(folder, `.tmp-${namespace}-4194304-0`);
    const live = join(folder, `.tmp-${namespace}-${process.pid}-99`);
    const elsewhere = join(folder, '.tmp-1-4194304-0');
    const elsewhereOld = join(folder, '.tmp-1-4194304-1');
    for (const path of [dead, live, elsewhere, elsewhereOld]) mkdirSync(path);
    utimesSync(elsewhereOld, 0, 0);
    await buildOnce(folder, 'thing', async (path) => writeFileSync(path, 'x'));
    expect([dead, live, elsewhere, elsewhereOld].map(existsSync)).to.deep.equal([false, true, true, false]);
  });

  it('refuses beforehand when there is not enough room', () => {
    expect(() => requireSpace(folder, 2 ** 60)).to.throw(LabError, /MiB free, the lab's kernel needs .* DMALG_CACHE/);
    requireSpace(folder, 1);
  });
});
