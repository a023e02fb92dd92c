import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { writingCommands } from './commands.js';
import { deadline, draws, oneOf, shuffled } from './seed.js';
import { Stage, untilLate } from './stage.js';

const writes = ['write', 'writev', 'pwrite64', 'ftruncate64', 'fallocate64'];
const page = 4096;
const pages = (files: readonly Buffer[]) => files.reduce((sum, { length }) => sum + Math.ceil(length / page), 0);

describe('a disk that is full', function () {
  this.timeout(0);
  for (const command of writingCommands) {
    it(`${command.name}: at any write and from there on; with room it succeeds`, async () => {
      const stage = await Stage.open(command);
      const draw = draws(`full disks of ${command.name}`);
      const isLate = deadline(0.1 / writingCommands.length);
      const counted = { calls: writes, onFiles: true };
      try {
        const reference = await stage.reference(counted);
        let tried = 0;
        await untilLate(shuffled(reference.calls.length, draw), isLate, async (at) => {
          const error = oneOf(['ENOSPC', 'EDQUOT'] as const, draw);
          const folder = stage.folder();
          reference.checkRefused(await stage.run(folder, { ...counted, at, error, lasting: true }), error);
          reference.checkFiles(folder, () => false);
          reference.checkDone(await stage.run(folder, { calls: [] }), folder);
          tried++;
        });
        expect(tried).to.be.at.least(1);
      } finally {
        stage.close();
      }
    });
  }

  for (const command of writingCommands.filter(({ outputs }) => outputs.length > 0)) {
    it(`${command.name}: files may not grow so long`, async () => {
      const stage = await Stage.open(command);
      try {
        const reference = await stage.reference({ calls: [] });
        const longest = Math.max(...command.outputs.map((name) => reference.files[name]!.length));
        const blocks = Math.floor(draws(`limits of ${command.name}`)() * (longest / 512 - 1));
        const folder = stage.folder();
        reference.checkRefused(await stage.run(folder, { calls: [] }, `ulimit -f ${blocks}`), 'EFBIG');
        reference.checkFiles(folder, () => false);
        reference.checkDone(await stage.run(folder, { calls: [] }), folder);
      } finally {
        stage.close();
      }
    });

    it(`${command.name}: a file system that is too small`, async function () {
      const mounted = mkdtempSync(join(tmpdir(), 'dmalg-full-'));
      const stage = await Stage.open(command);
      const mount = (options: string) =>
        spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'dmalg-full', mounted]).status === 0;
      try {
        const reference = await stage.reference({ calls: [] });
        const needed = pages(command.outputs.map((name) => reference.files[name]!));
        const room = pages(Object.values(stage.inputs)) + Math.floor(draws(`room of ${command.name}`)() * needed);
        if (!mount(`size=${room * page}`)) {
          this.test!.title += ' (no file system can be mounted here)';
          this.skip();
        }
        const folder = stage.folder(mounted);
        reference.checkRefused(await stage.run(folder, { calls: [] }), 'ENOSPC');
        reference.checkFiles(folder, () => false);
        expect(mount(`remount,size=${(room + needed) * page}`)).to.equal(true);
        reference.checkDone(await stage.run(folder, { calls: [] }), folder);
      } finally {
        spawnSync('umount', [mounted]);
        rmdirSync(mounted);
        stage.close();
      }
    });
  }
});
