import { execFileSync, spawn } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { once } from 'node:events';
import { linkSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { dmalg, inFolder, startDmalg, untilOpened } from './run.js';

const key = Buffer.from(Array.from({ length: 64 }, (_, i) => i * 3 + 1));
const keyHex = key.toString('hex');
const options = ['--cipher', 'aes-xts-plain64', '--key', keyHex, '--provider', 'library'];
/** More than the bios that are in flight at once, and not a whole number of them. */
const data = Buffer.alloc(6 * 1048576 + 3 * 4096);
for (let i = 0; i < data.length; i += 4) data.writeUInt32LE((i * 2654435761) >>> 0, i);

function sealed(sectorSize: number, ivOffset: number, step: number): Buffer {
  const out: Buffer[] = [];
  for (let at = 0, sector = ivOffset; at < data.length; at += sectorSize, sector += step) {
    const iv = Buffer.alloc(16);
    iv.writeUInt32LE(sector);
    out.push(createCipheriv('aes-256-xts', key, iv).update(data.subarray(at, at + sectorSize)));
  }
  return Buffer.concat(out);
}

describe('dmalg crypt', function () {
  this.timeout(600_000);

  it(
    'files and pipes, both directions, as the formula says',
    inFolder((folder) => {
      writeFileSync(join(folder, 'in'), data);
      writeFileSync(join(folder, 'key'), key);
      const more = ['--sector-size', '4096', '--iv-offset', '80'];
      const { status, stderr } = dmalg(folder, ['crypt', 'encrypt', 'in', 'out', ...options, ...more]);
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      const expected = sealed(4096, 80, 8);
      expect(readFileSync(join(folder, 'out')).equals(expected)).to.equal(true);
      const fromFile = ['--cipher', 'capi:xts(aes)-plain64', '--key-file', 'key', '--engine', 'sync', ...more];
      expect(dmalg(folder, ['crypt', 'decrypt', '-', '-', ...fromFile], expected).stdout.equals(data)).to.equal(true);
      expect(dmalg(folder, ['crypt', 'encrypt', 'in', '-', ...options]).stdout.equals(sealed(512, 0, 1))).to.equal(
        true,
      );
      const large = dmalg(folder, ['crypt', 'encrypt', 'in', '-', ...options, ...more, '--iv-large-sectors']);
      expect(large.stdout.equals(sealed(4096, 10, 1))).to.equal(true);
      expect(readdirSync(folder).sort()).to.deep.equal(['in', 'key', 'out']);
    }),
  );

  it(
    'a named pipe is read, and one is written',
    inFolder((folder) => {
      writeFileSync(join(folder, 'in'), data);
      execFileSync('mkfifo', ['from', 'to'], { cwd: folder });
      const more = ['--sector-size', '4096'];
      const feed = spawn('sh', ['-c', 'cat in > from'], { cwd: folder });
      const drain = spawn('sh', ['-c', 'cat to > out'], { cwd: folder });
      const drained = once(drain, 'close');
      const { status, stderr } = dmalg(folder, ['crypt', 'encrypt', 'from', 'to', ...options, ...more]);
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      return Promise.all([once(feed, 'close'), drained]).then(() => {
        expect(readFileSync(join(folder, 'out')).equals(sealed(4096, 0, 8))).to.equal(true);
        expect(readdirSync(folder).sort()).to.deep.equal(['from', 'in', 'out', 'to']);
      });
    }),
  );

  for (const [name, args, full] of [
    ['a file', ['in', '/dev/full'], /ENOSPC/],
    ['a pipe', ['-', '/dev/full'], /ENOSPC/],
  ] as const)
    it(
      `what cannot be written ends it: ${name}`,
      inFolder((folder) => {
        writeFileSync(join(folder, 'in'), data);
        const { status, stderr } = dmalg(folder, ['crypt', 'encrypt', ...args, ...options], data);
        expect(status).to.equal(4);
        expect(stderr)
          .to.match(full)
          .and.match(/^dmalg: .*\n$/);
      }),
    );

  it(
    'SIGINT leaves nothing behind',
    inFolder(async (folder) => {
      const child = startDmalg(folder, ['crypt', 'encrypt', '-', 'out', ...options]);
      child.stdin.on('error', () => {}); // it is killed while it is being written to
      child.stdin.write(data);
      await untilOpened(child, folder);
      child.kill('SIGINT');
      expect(await once(child, 'exit')).to.deep.equal([130, null]);
      expect(readdirSync(folder)).to.deep.equal([]);
    }),
  );

  it(
    'nothing at all is a volume',
    inFolder((folder) => {
      expect(dmalg(folder, ['crypt', 'encrypt', '-', 'out', ...options]).status).to.equal(0);
      expect(readFileSync(join(folder, 'out')).length).to.equal(0);
    }),
  );

  it(
    'refuses in one line, and writes nothing',
    inFolder((folder) => {
      writeFileSync(join(folder, 'in'), data.subarray(0, 4096 + 512));
      writeFileSync(join(folder, 'odd'), data.subarray(0, 1000));
      linkSync(join(folder, 'in'), join(folder, 'same'));
      const cases: [string[], string | Buffer, number, RegExp][] = [
        [['encrypt', 'odd', 'out', ...options], '', 1, /488 bytes over/],
        [
          ['encrypt', 'in', 'out', ...options, '--sector-size', '4096'],
          '',
          1,
          /4096 bytes, got 512 bytes over, 4608 in all/,
        ],
        [['encrypt', '-', 'out', ...options], data.subarray(0, 3 * 1048576 + 7), 1, /got 7 bytes over/],
        [['encrypt', 'in', 'in', ...options], '', 1, /'in' is IN/],
        [['decrypt', 'in', 'same', ...options], '', 1, /'same' is IN/],
        [['encrypt', 'none', 'out', ...options], '', 4, /ENOENT/],
        [['sign', 'in', 'out', ...options], '', 1, /expected encrypt or decrypt/],
        [['encrypt', 'in', ...options], '', 1, /expected IN and OUT/],
        [['encrypt', 'in', 'out', '--key', keyHex], '', 1, /--cipher is missing/],
        [['encrypt', 'in', 'out', ...options, '--iv-offset=-1'], '', 1, /iv-offset/],
        [['encrypt', 'in', 'out', ...options, '--sector-size', '768'], '', 1, /--sector-size: Invalid feature value/],
        [['encrypt', 'in', 'out', ...options, '--cipher', 'aes-cbc-x'], '', 1, /--cipher: Invalid IV mode/],
        [['encrypt', 'in', 'out', ...options, '--cipher', 'no-cbc-plain'], '', 6, /Error allocating crypto tfm/],
        [['encrypt', 'in', 'out', ...options, '--key', keyHex.slice(2)], '', 1, /--key: Error decoding/],
      ];
      for (const [args, input, status, message] of cases) {
        const outcome = dmalg(folder, ['crypt', ...args], input);
        expect({ args, status: outcome.status }).to.deep.equal({ args, status });
        expect(outcome.stderr)
          .to.match(message)
          .and.match(/^dmalg: .*\n$/);
        expect(outcome.stderr).not.to.include(keyHex.slice(2, 20));
      }
      expect(readdirSync(folder).sort()).to.deep.equal(['in', 'odd', 'same']);
    }),
  );
});
