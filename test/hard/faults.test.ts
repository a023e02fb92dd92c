import { expect } from 'chai';
import { commands } from './commands.js';
import type { ErrorName, Fault } from './faulty.js';
import { deadline, draws, oneOf, shuffled } from './seed.js';
import { Stage, untilLate } from './stage.js';

/** What these calls may fail with in life. */
const fileErrors: Record<string, readonly ErrorName[]> = {
  open64: ['EMFILE', 'EACCES', 'EIO'],
  statx: ['EIO', 'EACCES'],
  realpath: ['EIO', 'EACCES'],
  read: ['EIO'],
  readv: ['EIO'],
  pread64: ['EIO'],
  preadv64: ['EIO'],
  write: ['ENOSPC', 'EIO', 'EDQUOT'],
  writev: ['ENOSPC', 'EIO'],
  pwrite64: ['ENOSPC', 'EIO', 'EDQUOT'],
  ftruncate64: ['EIO', 'ENOSPC'],
  fdatasync: ['EIO', 'ENOSPC'],
  fsync: ['EIO'],
  chmod: ['EPERM'],
  rename: ['EACCES', 'ENOSPC', 'EIO'],
  linkat: ['EEXIST', 'ENOSPC', 'EIO'],
  unlink: ['EACCES', 'EIO'],
};
const addonErrors: Record<string, readonly ErrorName[]> = {
  eventfd: ['EMFILE', 'ENOMEM'],
  pthread_create: ['EAGAIN'],
  socket: ['EAFNOSUPPORT', 'EMFILE', 'EACCES'],
  preadv64v2: ['EIO', 'EAGAIN', 'EOPNOTSUPP'],
  lseek64: ['EINVAL'],
  fallocate64: ['EOPNOTSUPP', 'EIO'],
  // Of an eventfd that somebody has read.
  read: ['EAGAIN'],
};
const memoryErrors: Record<string, readonly ErrorName[]> = { new: ['ENOMEM'], calloc: ['ENOMEM'] };

const kinds: { name: string; errors: Record<string, readonly ErrorName[]>; where: Partial<Fault> }[] = [
  { name: 'calls on its files', errors: fileErrors, where: { onFiles: true } },
  { name: 'calls of the addon', errors: addonErrors, where: { fromAddon: true } },
  { name: 'allocations of the addon', errors: memoryErrors, where: { fromAddon: true } },
];

describe('faults, one call at a time', function () {
  this.timeout(0);
  for (const command of commands)
    for (const { name, errors, where } of kinds)
      it(`${command.name}: ${name}`, async () => {
        const stage = await Stage.open(command);
        const draw = draws(`faults of ${name} of ${command.name}`);
        const isLate = deadline(0.35 / commands.length / kinds.length);
        const counted = { calls: Object.keys(errors), ...where };
        try {
          const reference = await stage.reference(counted);
          let tried = 0;
          await untilLate(shuffled(reference.calls.length, draw), isLate, async (at) => {
            const error = oneOf(errors[reference.calls[at - 1]!]!, draw);
            const folder = stage.folder();
            const run = await stage.run(folder, { ...counted, at, error });
            const what = `call ${at}, ${run.hit}, fails with ${error}; status ${run.status}: ${run.stderr}`;
            try {
              if (run.status === 0) {
                reference.checkDone(run, folder);
                reference.checkSaid(run, folder);
              } else reference.checkRefused(run, error);
              reference.checkFiles(folder, (stray) => run.hit === 'unlink' && stray.endsWith('.part'));
            } catch (failure) {
              throw new Error(what, { cause: failure });
            }
            tried++;
          });
          expect(tried, 'calls that were made to fail').to.be.at.least(Math.min(reference.calls.length, 1));
        } finally {
          stage.close();
        }
      });
});
