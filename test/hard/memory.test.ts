import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { randomBytes } from '../support/random-bytes.js';
import { breakByte } from '../support/veritysetup.js';
import { runFaulty } from './faulty.js';

/** Bytes that a command may have, page cache included, and of what it works on: less would be held in memory as a whole. */
const memory = 128 << 20;
const size = 320 << 20;
const library = ['--provider', 'library'];

/** A memory control group of version 1 or 2; undefined where there can be none. */
function openGroup(): { enter: string; timesFull(): number; close(): void } | undefined {
  const own = `dmalg-hard-${process.pid}`;
  for (const [folder, limit, full] of [
    [`/sys/fs/cgroup/memory/${own}`, 'memory.limit_in_bytes', 'memory.failcnt'],
    [`/sys/fs/cgroup/${own}`, 'memory.max', 'memory.events'],
  ] as const)
    try {
      mkdirSync(folder);
      try {
        writeFileSync(join(folder, limit), `${memory}`);
        readFileSync(join(folder, full));
      } catch (error) {
        rmdirSync(folder);
        throw error;
      }
      return {
        enter: `echo $$ > ${folder}/cgroup.procs`,
        timesFull: () => Number(/(?:^|\bmax )(\d+)/.exec(readFileSync(join(folder, full), 'utf8'))![1]),
        close: () => rmdirSync(folder),
      };
    } catch {
      // Not of this version, or not ours to make.
    }
  return undefined;
}

describe('memory pressure', function () {
  this.timeout(0);
  it(`${size >> 20} MiB go through crypt and verity commands that have ${memory >> 20} MiB`, async function () {
    const group = openGroup();
    if (!group) {
      this.test!.title += ' (no memory control group can be made here)';
      this.skip();
    }
    const folder = mkdtempSync(join(tmpdir(), 'dmalg-memory-'));
    const run = async (args: string) => {
      const { status, signal, stderr, stdout } = await runFaulty(
        folder,
        [...args.split(' '), ...library],
        { calls: [] },
        group.enter,
      );
      expect({ status, signal }, `${args}: ${stderr}`).to.deep.equal({ status: 0, signal: null });
      return `${stdout}`;
    };
    const digest = async (file: string) => (await run(`hash --name sha256 ${file}`)).split(' ')[0];
    try {
      writeFileSync(join(folder, 'plain'), randomBytes('memory', 1 << 20));
      truncateSync(join(folder, 'plain'), size);
      const right = await digest('plain');
      const crypt = `--cipher aes-xts-plain64 --key ${randomBytes('key', 64).toString('hex')}`;
      await run(`crypt encrypt plain cipher ${crypt}`);
      await run(`crypt decrypt cipher out ${crypt}`);
      expect(await digest('out')).to.equal(right);
      expect(await digest('cipher')).not.to.equal(right);
      const image = 'cipher hash --root-hash-file root --fec-device fec';
      await run(`verity format ${image}`);
      const encrypted = await digest('cipher');
      breakByte(join(folder, 'cipher'), 100 << 20);
      await run(`verity repair ${image} --in-place`);
      expect(await digest('cipher')).to.equal(encrypted);
      await run(`verity verify ${image}`);
      expect(group.timesFull(), 'times that the memory did not suffice').to.be.at.least(1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
      group.close();
    }
  });
});
