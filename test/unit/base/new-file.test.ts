import { spawnSync } from 'node:child_process';
import { constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { NewFile } from '../../../lib/base/new-file.js';

const { open } = promises;

/** A file system that has no files without names. */
function withoutUnnamed(code: string): void {
  promises.open = ((path: string, flags: string | number, mode?: number) =>
    typeof flags === 'number' && flags & constants.O_DIRECTORY
      ? Promise.reject(Object.assign(new Error(`${code}: no, open '${path}'`), { code }))
      : open(path, flags, mode)) as typeof open;
  syncBuiltinESMExports();
}

for (const kind of ['unnamed', 'hidden'] as const)
  describe(`a new file, ${kind} until it is complete`, () => {
    let folder = '';
    const path = () => join(folder, 'name');
    const names = () => readdirSync(folder);
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'dmalg-new-'));
      if (kind === 'hidden') withoutUnnamed('EOPNOTSUPP');
    });
    afterEach(() => {
      rmSync(folder, { recursive: true, force: true });
      promises.open = open;
      syncBuiltinESMExports();
    });

    it('has its name, mode and bytes from commit on', async () => {
      const file = await NewFile.create(path(), 0o640);
      await file.handle.writeFile('bytes');
      expect(names().includes('name')).to.equal(false);
      expect(names()).to.have.length(kind === 'hidden' ? 1 : 0);
      await file.commit();
      await file.close();
      expect(names()).to.deep.equal(['name']);
      expect(readFileSync(path(), 'utf8')).to.equal('bytes');
      expect((await promises.stat(path())).mode & 0o777).to.equal(0o640 & ~process.umask());
    });

    it('is gone without commit, by close and by discard', async () => {
      const closed = await NewFile.create(path());
      await closed.close();
      const discarded = await NewFile.create(path());
      discarded.discard();
      expect(names()).to.deep.equal([]);
      await discarded.close();
    });

    it('its bytes are stored before it has the name, and the name after that', async () => {
      const order: string[] = [];
      const file = await NewFile.create(path());
      const { sync } = file.handle;
      file.handle.sync = () => {
        order.push(`file, ${names().includes('name') ? 'named' : 'without its name'}`);
        return sync.call(file.handle);
      };
      promises.open = (async (where: string, flags: string) => {
        const opened = await open(where, flags);
        if (where === folder) {
          const syncFolder = opened.sync;
          opened.sync = () => {
            order.push(`folder, ${names().includes('name') ? 'named' : 'without the name'}`);
            return syncFolder.call(opened);
          };
        }
        return opened;
      }) as typeof open;
      syncBuiltinESMExports();
      await file.commit();
      await file.close();
      expect(order).to.deep.equal(['file, without its name', 'folder, named']);
    });

    it('what came to exist meanwhile stays, unless it is to be replaced', async () => {
      await using file = await NewFile.create(path());
      await file.handle.writeFile('new');
      writeFileSync(path(), 'old');
      if (kind === 'unnamed') {
        const error = await file.commit().catch((error) => error);
        expect(error.code).to.equal('EEXIST');
        expect(error.message).to.contain(path());
        expect(readFileSync(path(), 'utf8')).to.equal('old');
      }
      await file.commit({ replace: true });
      expect(readFileSync(path(), 'utf8')).to.equal('new');
      expect(names()).to.deep.equal(['name']);
    });

    it('leftovers of killed runs, of whatever process number, are in nobody’s way', async () => {
      for (let run = 0; run < 20; run++) await NewFile.create(path()).then((file) => file.handle.close());
      if (kind === 'hidden') expect(new Set(names())).to.have.length(20);
      writeFileSync(join(folder, `.name.${process.pid}.part`), '');
      await using file = await NewFile.create(path());
      await file.commit();
      expect(existsSync(path())).to.equal(true);
    });

    it('errors name the file that was asked for', async () => {
      const error = await NewFile.create(join(folder, 'absent/name')).catch((error) => error);
      expect(error.code).to.equal('ENOENT');
      expect(error.message).to.contain(join(folder, 'absent/name'));
    });
  });

describe('an output of a command that is killed', () => {
  it('has no name, hidden or not, and the next run is as the first', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dmalg-new-'));
    try {
      const library = new URL('../../../lib/base/new-file.js', import.meta.url).href;
      const script = `
        const { NewFile } = await import('${library}');
        await NewFile.create('${join(folder, 'name')}');
        process.kill(process.pid, 'SIGKILL');`;
      const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
      expect(signal).to.equal('SIGKILL');
      expect(readdirSync(folder)).to.deep.equal([]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
