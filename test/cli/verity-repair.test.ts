import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { randomBytes } from '../support/random-bytes.js';
import { breakByte, inVerityFolder, veritysetup } from '../support/veritysetup.js';
import { inFolder, verity as runVerity, startDmalg } from './run.js';

const fec = ['--fec-device', 'fec', '--fec-roots', '4'];
const image = ['data', 'hash', '--root-hash-file', 'root', ...fec];
const areas = ['data', 'hash', 'fec'] as const;

const verity = (folder: string, args: string[]) => runVerity(folder, [...args, '--provider', 'library']);

type Files = Record<(typeof areas)[number], Buffer>;

function read(folder: string): Files {
  const file = (name: string) => readFileSync(join(folder, name));
  return { data: file('data'), hash: file('hash'), fec: file('fec') };
}

/** An image of so many blocks of 4096 bytes. */
function format(folder: string, blocks: number): Files {
  writeFileSync(join(folder, 'data'), randomBytes('repair', blocks * 4096));
  expect(verity(folder, ['format', ...image, '--salt', '00ff'])).to.include({ status: 0, stderr: '' });
  return read(folder);
}

/** A byte of data block 77, of the second hash block of level 0, which is above 77 too, and of parity. */
function spoil(folder: string): void {
  breakByte(join(folder, 'data'), 4096 * 77 + 5);
  breakByte(join(folder, 'hash'), 4096 * 2 + 7);
  breakByte(join(folder, 'fec'), 5000);
}

describe('dmalg verity with FEC', function () {
  this.timeout(600_000);

  it(
    'verify says how much of a bad image can be repaired, and ends with 0 as veritysetup where that is all',
    inVerityFolder(async (folder) => {
      format(folder, 300);
      breakByte(join(folder, 'data'), 4096 * 77 + 5);
      const { status, stdout, stderr } = verity(folder, ['verify', ...image]);
      expect(status).to.equal(0);
      expect(stdout).to.match(/^data: data block 77 at 315392: its digest differs\n/);
      expect(stderr)
        .to.equal(veritysetup(folder, ['verify', ...image]).stderr)
        .and.match(/\nFound 1 repairable errors/);
      const json = verity(folder, ['verify', ...image, '--json']);
      expect(json.status).to.equal(0);
      const found = JSON.parse(json.stdout);
      expect(found).to.include({ good: false, badDataBlocks: 1 });
      expect(found.fec).to.deep.include({ good: true, repairable: 1, mended: { data: 1, hash: 0, fec: 0 } });
    }),
  );

  it(
    'verify and repair end alike, and their last line is the verdict',
    inFolder((folder) => {
      writeFileSync(join(folder, 'data'), randomBytes('verdict', 250 * 4096));
      const two = ['data', 'hash', '--root-hash-file', 'root', '--fec-device', 'fec'];
      verity(folder, ['format', ...two, '--salt', '00']);
      const right = { data: readFileSync(join(folder, 'data')), fec: readFileSync(join(folder, 'fec')) };
      /** Of the bytes of data that are changed, and of a FEC file that ends too soon. */
      const rows: { at: number[]; fecSize?: number; status: number; last: string; warning?: RegExp }[] = [
        { at: [], status: 0, last: '' },
        { at: [], fecSize: 100, status: 0, last: '', warning: /^WARNING: .* too short in 2 parity blocks; .*repair/ },
        {
          at: [10, 20, 30].map((block) => block * 4096),
          status: 2,
          last: 'bad: 3 data blocks, 0 hash blocks; FEC cannot mend 3 data blocks, 0 hash blocks',
        },
        {
          at: Array.from({ length: 8192 }, (_, index) => 40960 + index),
          status: 0,
          last: 'repairable: 2 data blocks, 0 hash blocks',
        },
        { at: [5], fecSize: 8191, status: 0, last: 'repairable: 1 data block, 0 hash blocks' },
        {
          at: [5],
          fecSize: 0,
          status: 2,
          last: 'bad: 1 data block, 0 hash blocks; FEC cannot mend 1 data block, 0 hash blocks',
        },
      ];
      for (const { at, fecSize = 8192, status, last, warning = /^(?!WARNING)/ } of rows) {
        const data = Buffer.from(right.data);
        for (const byte of at) data[byte]! ^= 0x55;
        writeFileSync(join(folder, 'data'), data);
        writeFileSync(join(folder, 'fec'), right.fec.subarray(0, fecSize));
        const verified = verity(folder, ['verify', ...two]);
        const dry = verity(folder, ['repair', ...two, '--dry-run']);
        expect([verified.status, dry.status], last).to.deep.equal([status, status]);
        expect(verified.stdout.trimEnd().split('\n').at(-1)).to.equal(last);
        expect(verified.stderr).to.match(warning);
        const words = status === 0 ? /^would be mended: .*\n$/ : /^cannot be mended: .*\n$/;
        expect(dry.stdout.slice(dry.stdout.trimEnd().lastIndexOf('\n') + 1)).to.match(words);
        const { blocks, mended } = JSON.parse(verity(folder, ['repair', ...two, '--dry-run', '--json']).stdout);
        const outcomes = new Set(blocks.map(({ outcome }: { outcome: string }) => outcome));
        if (mended.data > 0) expect([...outcomes]).to.deep.equal(['would be mended']);
        const report = JSON.parse(verity(folder, ['verify', ...two, '--json']).stdout);
        expect([report.good, report.fec.good]).to.deep.equal([at.length === 0, status === 0]);
      }
      writeFileSync(join(folder, 'data'), right.data);
      writeFileSync(join(folder, 'fec'), right.fec);
      writeFileSync(join(folder, 'root'), `00${readFileSync(join(folder, 'root'), 'latin1').slice(2)}`);
      expect(verity(folder, ['verify', ...two])).to.include({
        status: 2,
        stderr: 'Verification of root hash failed.\n',
      });
      expect(verity(folder, ['repair', ...two, '--dry-run']).status).to.equal(2);
    }),
  );

  it(
    'a dry run writes nothing; in place all is as it was; then it verifies',
    inFolder((folder) => {
      const right = format(folder, 300);
      spoil(folder);
      const spoilt = read(folder);
      const mended = (word: string) =>
        `hash: hash block 2 at 8192: ${word}\ndata: data block 77 at 315392: ${word}\nfec: parity block 1 at 4096: ${word}\n` +
        `${word}: 1 data block, 1 hash block, 1 parity block\n`;
      const dry = verity(folder, ['repair', ...image, '--dry-run']);
      expect(dry).to.deep.equal({ status: 0, stdout: mended('would be mended'), stderr: '' });
      expect(read(folder)).to.deep.equal(spoilt);
      const inPlace = verity(folder, ['repair', ...image, '--in-place']);
      expect(inPlace).to.deep.equal({ status: 0, stdout: mended('mended'), stderr: '' });
      expect(read(folder)).to.deep.equal(right);
      expect(verity(folder, ['verify', ...image])).to.include({ status: 0, stderr: '' });
    }),
  );

  it(
    'new files hold the mended image, the old ones are untouched; what is not among them is named',
    inFolder((folder) => {
      const right = format(folder, 300);
      spoil(folder);
      const spoilt = read(folder);
      const all = ['--output', 'data.new', '--output-hash', 'hash.new', '--output-fec', 'fec.new'];
      expect(verity(folder, ['repair', ...image, ...all]).status).to.equal(0);
      for (const area of areas)
        expect(readFileSync(join(folder, `${area}.new`)).equals(right[area]), area).to.equal(true);
      const some = verity(folder, ['repair', ...image, '--output', 'data.two', '--json']);
      expect(some.status).to.equal(2);
      const { written, notWritten } = JSON.parse(some.stdout);
      expect({ written, notWritten }).to.deep.equal({
        written: ['data.two'],
        notWritten: { data: 0, hash: 1, fec: 1 },
      });
      expect(readFileSync(join(folder, 'data.two')).equals(right.data)).to.equal(true);
      expect(read(folder)).to.deep.equal(spoilt);
    }),
  );

  it(
    'beyond the capacity it says what is left, ends with 2, and no new file appears',
    inFolder((folder) => {
      format(folder, 2000);
      // One set of blocks has a byte of each of these: rounds are ceil(blocks / (255 - roots)) apart.
      const rounds = Math.ceil((2000 + 17) / 251);
      for (let row = 0; row < 5; row++) breakByte(join(folder, 'data'), 4096 * row * rounds + 1);
      const { status, stdout } = verity(folder, ['repair', ...image, '--output', 'new']);
      expect(status).to.equal(2);
      expect(stdout).to.match(/^new: data block 0 at 0: cannot be mended/);
      expect(readdirSync(folder).filter((name) => /new|part/.test(name))).to.deep.equal([]);
    }),
  );

  it(
    'wrong usage is refused in a line that names the option, and nothing is written',
    inFolder((folder) => {
      format(folder, 10);
      const before = readdirSync(folder);
      for (const [args, words, expected = 1] of [
        [['data', 'hash', '--root-hash-file', 'root', '--in-place'], /--fec-device/],
        [[...image], /--in-place/],
        [[...image, '--output', 'data'], /data/, 5],
        [[...image.slice(0, 6), '--fec-roots', '25', '--dry-run'], /roots/i],
      ] as const) {
        const { status, stderr } = verity(folder, ['repair', ...args]);
        expect(status, args.join(' ')).to.equal(expected);
        expect(stderr, args.join(' ')).to.match(words);
      }
      expect(readdirSync(folder)).to.deep.equal(before);
    }),
  );

  it(
    'killed outright in place: each block is as it was or right, and the next run mends the rest',
    inFolder(async (folder) => {
      const right = format(folder, 4000);
      const data = Buffer.from(right.data);
      // Four blocks, as many as FEC can mend, in each set.
      const rounds = Math.ceil((4000 + 33) / 251);
      for (let count = 0; count < 4 * rounds; count++) data[count * 58 * 4096]! ^= 1;
      writeFileSync(join(folder, 'data'), data);
      const child = startDmalg(folder, [
        'verity',
        'repair',
        ...image,
        '--in-place',
        '--quiet',
        '--provider',
        'library',
      ]);
      const ended = once(child, 'exit');
      let running = true;
      void ended.then(() => {
        running = false;
      });
      while (running && readFileSync(join(folder, 'data')).equals(data)) await setImmediate();
      child.kill('SIGKILL');
      await ended;
      const left = readFileSync(join(folder, 'data'));
      for (let at = 0; at < left.length; at += 4096) {
        const block = left.subarray(at, at + 4096);
        const isKnown = block.equals(data.subarray(at, at + 4096)) || block.equals(right.data.subarray(at, at + 4096));
        expect(isKnown, `block ${at / 4096}`).to.equal(true);
      }
      expect(verity(folder, ['repair', ...image, '--in-place']).status).to.equal(0);
      expect(read(folder)).to.deep.equal(right);
    }),
  );
});
