import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { writingCommands } from './commands.js';
import { deadline, draws, shuffled } from './seed.js';
import { readFiles, Stage, untilLate } from './stage.js';

/** Where what is on the disk changes. */
const changes = [
  'open64',
  'write',
  'writev',
  'pwrite64',
  'ftruncate64',
  'rename',
  'linkat',
  'unlink',
  'fsync',
  'fdatasync',
];

describe('kill -9 at a change of its files', function () {
  this.timeout(0);
  for (const command of writingCommands)
    it(`${command.name}: nothing is half done, and the next run does it`, async () => {
      const stage = await Stage.open(command);
      const draw = draws(`kills of ${command.name}`);
      const isLate = deadline(0.2 / writingCommands.length);
      const counted = { calls: changes, onFiles: true };
      try {
        const reference = await stage.reference(counted);
        let killed = 0;
        await untilLate(shuffled(reference.calls.length, draw), isLate, async (at) => {
          const folder = stage.folder();
          const half = /write/.test(reference.calls[at - 1]!) && draw() < 0.5;
          const run = await stage.run(folder, { ...counted, at, half });
          // Half of something else is all of it: threads may have come in another order.
          const isEnded = run.signal === 'SIGKILL' || (half && !/write/.test(run.hit ?? ''));
          expect(isEnded, `call ${at}, ${run.hit}: ${run.status} ${run.signal} ${run.stderr}`).to.equal(true);
          reference.checkFiles(folder, (stray) => stray.endsWith('.part'));
          // A repair refuses to overwrite what it has finished.
          for (const name of Object.keys(readFiles(folder)))
            if (name.endsWith('.part') || command.outputs.includes(name)) rmSync(join(folder, name));
          reference.checkDone(await stage.run(folder, { calls: [] }), folder);
          killed++;
        });
        expect(killed).to.be.at.least(1);
      } finally {
        stage.close();
      }
    });
});
