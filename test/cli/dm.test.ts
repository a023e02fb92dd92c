import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { dmalg, inFolder, startDmalg, untilOpened } from './run.js';

describe('dmalg dm', function () {
  this.timeout(600_000);

  it(
    'writes and reads bytes anywhere, from and to files and pipes',
    inFolder((folder) => {
      const size = 5 * 1024 * 1024;
      const image = join(folder, 'image');
      writeFileSync(image, Buffer.alloc(size, 1));
      const data = Buffer.from(Array.from({ length: 3_000_001 }, (_, index) => index % 251));
      writeFileSync(join(folder, 'data'), data);
      // Two pieces in the other order, the border within what is written.
      writeFileSync(join(folder, 'table'), '# two halves\n0 5120 linear image 5120\n5120 5120 linear image 0\n');
      const table = ['--table', '@table'];
      const expected = Buffer.alloc(size, 1);
      expected.set(data, 777);
      const halves = () => {
        const bytes = readFileSync(image);
        return Buffer.concat([bytes.subarray(size / 2), bytes.subarray(0, size / 2)]);
      };

      const file = dmalg(folder, ['dm', 'write', ...table, '--offset', '777', '--input', 'data']);
      expect(file).to.deep.include({ status: 0, stderr: '' });
      expect(halves().equals(expected)).to.equal(true);
      const pipe = dmalg(folder, ['dm', 'write', ...table, '--offset', '12'], 'from a pipe');
      expect(pipe).to.deep.include({ status: 0, stderr: '' });
      expected.set(Buffer.from('from a pipe'), 12);
      expect(halves().equals(expected)).to.equal(true);

      const whole = dmalg(folder, ['dm', 'read', ...table]);
      expect(whole.status).to.equal(0);
      expect(whole.stdout.equals(expected)).to.equal(true);
      const part = ['dm', 'read', ...table, '--offset', '700', '--length', '2500000'];
      expect(dmalg(folder, part).stdout.equals(expected.subarray(700, 2_500_700))).to.equal(true);
      expect(dmalg(folder, [...part, '--output', 'out']).status).to.equal(0);
      expect(readFileSync(join(folder, 'out')).equals(expected.subarray(700, 2_500_700))).to.equal(true);
      expect(dmalg(folder, ['dm', 'read', ...table, '--offset', String(size)]).stdout).to.have.length(0);
    }),
  );

  it(
    'prints tables, status and targets as dmsetup does, and as JSON',
    inFolder((folder) => {
      writeFileSync(join(folder, 'image'), Buffer.alloc(4096));
      const lines = '0 8 linear image 0\n8 8 zero \n16 8 delay ram:4096 0 5';
      const run = (...args: string[]) => dmalg(folder, ['dm', ...args]).stdout.toString();
      expect(run('table', '--table', lines)).to.equal(`${lines}\n`);
      expect(run('status', '--table', lines)).to.equal('0 8 linear \n8 8 zero \n16 8 delay 0 0 0\n');
      expect(JSON.parse(run('table', '--table', lines, '--json'))[2]).to.deep.equal({
        start: 16,
        length: 8,
        type: 'delay',
        params: 'ram:4096 0 5',
      });
      expect(run('targets')).to.include('linear           v1.4.0\nzero             v1.2.0\nerror            v1.7.0\n');
      expect(JSON.parse(run('targets', '--json'))[0]).to.deep.equal({ name: 'linear', version: '1.4.0' });
    }),
  );

  it(
    'leaves no output under its final name, or any other, when a sector fails',
    inFolder((folder) => {
      const lines = '0 8192 zero\n8192 8 error\n8200 8192 zero';
      const { status, stderr } = dmalg(folder, ['dm', 'read', '--table', lines, '--output', 'out']);
      expect(status).to.equal(4);
      expect(stderr).to.equal('dmalg: EIO: read failed at sectors 8192+8\n');
      expect(existsSync(join(folder, 'out'))).to.equal(false);
      expect(readdirSync(folder)).to.deep.equal([]);
      const write = dmalg(folder, ['dm', 'write', '--table', lines, '--offset', '4194300'], 'across');
      expect(write).to.deep.include({ status: 4, stderr: 'dmalg: EIO: read failed at sectors 8192+1\n' });
    }),
  );

  it(
    'the bytes are the same with any number of chunks in flight, and past the page cache',
    inFolder((folder) => {
      const size = 3 * 1024 * 1024;
      const image = join(folder, 'image');
      const data = Buffer.from(Array.from({ length: size - 999 }, (_, index) => index % 253));
      const table = ['--table', `0 ${size / 512} linear image 0`, '--offset', '333'];
      for (const options of [['--depth', '1'], ['--depth', '32'], ['--direct'], ['--direct', '--depth', '2']]) {
        writeFileSync(image, Buffer.alloc(size, 1));
        expect(dmalg(folder, ['dm', 'write', ...table, ...options], data)).to.deep.include({ status: 0, stderr: '' });
        const expected = Buffer.alloc(size, 1);
        expected.set(data, 333);
        expect(expected.equals(readFileSync(image)), options.join(' ')).to.equal(true);
        expect(dmalg(folder, ['dm', 'read', ...table, ...options]).stdout.equals(expected.subarray(333))).to.equal(
          true,
        );
      }
    }),
  );

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const)
    it(
      `${signal} during a read leaves the output as it was, or none`,
      inFolder(async (folder) => {
        const before = Buffer.from('what was there before');
        writeFileSync(join(folder, 'old'), before);
        const table = ['--table', '0 8 zero\n8 8192 delay ram:4194304 0 3600000'];
        for (const output of ['new', 'old']) {
          const child = startDmalg(folder, ['dm', 'read', ...table, '--output', output]);
          const exit = once(child, 'exit');
          // The read itself never ends.
          await untilOpened(child, folder);
          child.kill(signal);
          const [status, killed] = await exit;
          if (signal === 'SIGKILL') expect(killed).to.equal('SIGKILL');
          else expect(status).to.equal(signal === 'SIGINT' ? 130 : 143);
          expect(readdirSync(folder)).to.deep.equal(['old']);
        }
        expect(before.equals(readFileSync(join(folder, 'old')))).to.equal(true);
      }),
    );

  it(
    'refuses an input longer than the device: a file before anything is written',
    inFolder((folder) => {
      writeFileSync(join(folder, 'image'), Buffer.alloc(4096, 7));
      writeFileSync(join(folder, 'long'), '');
      truncateSync(join(folder, 'long'), 4097);
      const table = ['--table', '0 8 linear image 0'];
      const file = dmalg(folder, ['dm', 'write', ...table, '--input', 'long']);
      expect(file.status).to.equal(4);
      expect(file.stderr).to.equal(
        "dmalg: --input: 'long' has 4097 bytes, more than the 4096 of the device from there on\n",
      );
      expect(readFileSync(join(folder, 'image')).equals(Buffer.alloc(4096, 7))).to.equal(true);
      const pipe = dmalg(folder, ['dm', 'write', ...table], Buffer.alloc(4097));
      expect(pipe.status).to.equal(4);
      expect(pipe.stderr).to.equal('dmalg: the input is longer than the device, which has 4096 bytes\n');
    }),
  );

  it(
    'says in one line what is wrong, and with which status',
    inFolder((folder) => {
      const zero = ['--table', '0 8 zero'];
      for (const [args, status, text] of [
        [[], 1, /expected read, write, table, status, targets, got ''/],
        [['raed'], 1, /got 'raed'/],
        [['constructor'], 1, /got 'constructor'/],
        [['read'], 1, /--table is missing/],
        [['read', ...zero, 'file'], 1, /dm read: expected no files, got 'file'/],
        [['read', ...zero, '--input', 'x'], 1, /--input: not an option of dm read/],
        [['targets', ...zero], 1, /--table: not an option of dm targets/],
        [['read', ...zero, '--offset', '4097'], 1, /--offset: expected a whole number from 0 to 4096, got '4097'/],
        [['read', ...zero, '--offset', '96', '--length', '4001'], 1, /--length: .* 0 to 4000/],
        [['read', ...zero, '--depth', '0'], 1, /--depth: expected a whole number from 1 to 1024, got '0'/],
        [['table', ...zero, '--direct'], 1, /--direct: not an option of dm table/],
        [
          ['read', '--direct', '--table', '0 8 linear /proc/version 0'],
          1,
          /its file system has no direct I\/O; EINVAL/,
        ],
        [['read', ...zero, '--provider', 'x'], 1, /--provider: expected auto, kernel, library/],
        [['read', '--table', '@missing'], 4, /ENOENT.*missing/],
        [['read', '--table', '0 8 what'], 1, /table line 1: what: unknown target type; expected linear/],
        [['read', '--table', '1 8 zero'], 1, /table line 1: Gap in table/],
        [['read', '--table', '0 8 linear missing 0'], 4, /table line 1: linear: Device lookup failed .*ENOENT/],
        [
          ['read', '--table', '0 8 linear ram:512 0'],
          4,
          /linear: ram:512 too small for target: start=0, len=8, dev_size=1 /,
        ],
        [['write', ...zero, '--input', 'missing'], 4, /ENOENT.*missing/],
      ] as const) {
        const outcome = dmalg(folder, ['dm', ...args]);
        expect(outcome.status, args.join(' ')).to.equal(status);
        expect(outcome.stderr).to.match(text);
        expect(outcome.stderr.trim().split('\n'), args.join(' ')).to.have.length(1);
        expect(outcome.stdout).to.have.length(0);
      }
    }),
  );

  it(
    'explains itself',
    inFolder((folder) => {
      const { status, stdout } = dmalg(folder, ['dm', '--help']);
      expect(status).to.equal(0);
      for (const word of [
        'read ',
        'write ',
        'table ',
        'status ',
        'targets ',
        '--table LINE',
        '--showkeys',
        'linear <dev>',
      ])
        expect(stdout.toString()).to.include(word);
      for (const line of stdout.toString().split('\n')) expect(line.length, line).to.be.at.most(150);
    }),
  );
});
