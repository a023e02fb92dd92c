import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { LabError } from '../../lib/lab/error.js';
import { listKernels, obtainKernel } from '../../lib/lab/kernel.js';
import { findOffer } from '../../lib/lab/offer.js';
import { findTool, isStatic, labUnavailable } from '../../lib/lab/tools.js';

/** An apt that knows the packages in `$DMALG_TEST_APT/NAME`, and downloads none. */
const fakeCache = `#!/bin/sh
shift 2
for name; do cat "$DMALG_TEST_APT/$name" 2>/dev/null && echo && known=1; done
[ -n "$known" ] || { echo 'E: No packages found' >&2; exit 100; }
`;
const fakeGet = `#!/bin/sh
echo "$*" >>"$DMALG_TEST_APT/calls"
case "$*" in *download*) echo 'E: Failed to fetch http://x 404  Not Found' >&2; exit 100 ;; esac
`;

describe('lab: kernel packages', () => {
  let folder: string;
  const saved = { ...process.env };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-test-'));
    mkdirSync(join(folder, 'bin'));
    for (const [name, text] of [
      ['apt-cache', fakeCache],
      ['apt-get', fakeGet],
    ] as const) {
      writeFileSync(join(folder, 'bin', name), text);
      chmodSync(join(folder, 'bin', name), 0o755);
    }
    process.env.PATH = `${join(folder, 'bin')}:${saved.PATH}`;
    process.env.DMALG_TEST_APT = folder;
    process.env.DMALG_CACHE = join(folder, 'cache');
  });
  afterEach(() => {
    process.env = { ...saved };
    rmSync(folder, { recursive: true });
  });

  function offer(name: string, version: string, depends = ''): void {
    const fields = [
      `Package: ${name}`,
      `Version: ${version}`,
      'Installed-Size: 1',
      'Size: 10',
      'Description: x',
      ' more: y',
    ];
    writeFileSync(join(folder, name), `${[...fields, ...(depends ? [`Depends: ${depends}`] : [])].join('\n')}\n`);
  }

  async function failure(work: Promise<unknown>): Promise<LabError> {
    const error = await work.then(
      () => expect.fail('no error'),
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(LabError);
    return error as LabError;
  }

  it('takes the first candidate of aio that is offered', async () => {
    offer('linux-image-6.1.0-47-amd64', '6.1.170-3');
    offer('linux-image-6.1.0-49-amd64', '6.1.174-1');
    expect(await findOffer('aio')).to.deep.equal({
      profile: 'aio',
      package: 'linux-image-6.1.0-49-amd64',
      version: '6.1.174-1',
      bytes: 10,
      installedBytes: 1024,
    });
  });

  it('takes what the metapackage of current depends on today', async () => {
    offer('linux-image-amd64', '6.1.192-2', 'linux-image-6.1.0-56-amd64 (= 6.1.192-2)');
    offer('linux-image-6.1.0-56-amd64', '6.1.192-2');
    expect(await findOffer('current')).to.include({ package: 'linux-image-6.1.0-56-amd64', version: '6.1.192-2' });
  });

  it('says which kernel is not to be had, and what to type', async () => {
    offer('linux-image-amd64', '1', 'linux-image-gone (= 1)');
    for (const profile of ['aio', 'current', 'next'] as const) {
      const { code, message } = await failure(findOffer(profile));
      expect(code).to.equal('offer');
      expect(message).to.include(`'${profile}'`).and.to.include('apt-get update').and.not.include('\n');
    }
  });

  it('says why a download failed, having renewed the lists once where it may, and leaves nothing', async () => {
    offer('linux-image-6.1.0-50-amd64', '6.1.176-1');
    const { code, message } = await failure(obtainKernel('aio'));
    expect(code).to.equal('fetch');
    expect(message).to.match(/404 {2}Not Found; type: apt-get update$/);
    expect(readdirSync(join(folder, 'cache/kernels'))).to.deep.equal([]);
  });

  /** A kernel in the cache as a former run left it. */
  function cache(profile: string, name: string): void {
    const path = join(folder, 'cache/kernels', `${name}_1`);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'kernel.json'), JSON.stringify({ package: name, version: '1', release: 'r', profile }));
  }

  it('makes do with a kernel from the cache', async () => {
    cache('aio', 'linux-image-6.1.0-48-amd64');
    expect(await obtainKernel('aio')).to.include({ package: 'linux-image-6.1.0-48-amd64', release: 'r' });
    cache('next', 'linux-image-6.12.1-amd64');
    expect(await obtainKernel('next')).to.include({ package: 'linux-image-6.12.1-amd64' });
  });

  it('lists what can be had, from the cache or not, and the reason where nothing can', async () => {
    cache('aio', 'linux-image-6.1.0-48-amd64');
    offer('linux-image-amd64', '1', 'linux-image-6.1.0-56-amd64');
    offer('linux-image-6.1.0-56-amd64', '2');
    const rows = await listKernels();
    expect(rows.map(({ profile, package: name, cached }) => [profile, name, cached])).to.deep.equal([
      ['aio', 'linux-image-6.1.0-48-amd64', true],
      ['current', 'linux-image-6.1.0-56-amd64', false],
      ['next', undefined, false],
    ]);
    expect(rows[2]?.reason).to.include('not offered');
  });

  it('names the package that brings a missing program', () => {
    process.env.PATH = join(folder, 'bin');
    expect(labUnavailable()).to.match(/qemu-system-x86_64.*apt-get install .*qemu-system-x86\b/);
    expect(() => findTool('qemu-system-x86_64')).to.throw(LabError, 'apt-get install qemu-system-x86');
  });

  it('tells a static program from a dynamic one and from a script', () => {
    expect(isStatic(process.execPath)).to.equal(false);
    expect(isStatic(join(folder, 'bin/apt-get'))).to.equal(false);
  });
});
