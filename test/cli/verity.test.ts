import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { breakByte, fill, inVerityFolder, veritysetup } from '../support/veritysetup.js';
import { dmalg, inFolder, program, verity } from './run.js';

const uuid = '11111111-2222-3333-4444-555555555555';
const common = ['--uuid', uuid, '--salt', '00ff'];

function images(folder: string): void {
  writeFileSync(join(folder, 'data'), fill(300 * 4096, 1));
  writeFileSync(join(folder, 'tiny'), fill(100, 2));
  writeFileSync(join(folder, 'less'), fill(4095, 2));
}

describe('dmalg verity', function () {
  this.timeout(600_000);

  // What both refuse, in one run each: the same words, status and nothing on stdout.
  const refused: string[][] = [
    ['format', 'data', 'hash', '--data-block-size', '1000'],
    ['format', 'data', 'hash', '--hash-block-size', '1048576'],
    ['format', 'data', 'hash', '--format', '2', '--hash-offset', '100'],
    ['format', 'data', 'hash', '--hash-offset', '100', '--hash', 'foo'],
    ['format', 'data', 'hash', '--hash', 'foo'],
    ['format', 'data', 'hash', '--salt', 'xyz'],
    ['format', 'data', 'hash', '--data-blocks', '301'],
    ['format', 'data', 'hash', '--data-blocks', '18014398509481984'],
    ['format', 'data', 'hash', '--uuid', 'zzz'],
    ['format', 'data', 'nofolder/hash'],
    ['format', 'data', 'data'],
    ['format', 'data', 'data', '--data-blocks', '100', '--hash-offset', '409088'],
    ['format', 'nofile', 'hash'],
    ['format', '.', 'hash'],
    ['format', 'data', '/dev/null'],
    ['format', 'tiny', 'hash'],
    ['format', 'less', 'hash'],
    ['verify', 'data', 'good'],
    ['verify', 'data', 'good', 'zz'],
    ['verify', 'data', 'good', '00'],
    ['verify', 'data', 'data', '00'],
    ['verify', 'nofile', 'good', 'ROOT'],
    ['verify', 'data', 'nofile', 'ROOT'],
    ['verify', 'less', 'good', 'ROOT'],
    ['verify', 'data', 'good', 'ROOT', '--hash-offset', '7'],
    ['dump', 'data'],
    ['dump', 'tiny'],
    ['dump', 'nofile'],
    ['dump', 'good', '--hash-offset', '512'],
  ];
  it(
    'refuses what veritysetup refuses, in its words and with its status',
    inVerityFolder(async (folder) => {
      images(folder);
      veritysetup(folder, ['format', 'data', 'good', ...common, '--root-hash-file', 'root']);
      const root = readFileSync(join(folder, 'root'), 'latin1');
      for (const row of refused) {
        const args = row.map((word) => (word === 'ROOT' ? root : word));
        const theirs = veritysetup(folder, args);
        const ours = verity(folder, args);
        // Behind its lines there is one that says why, and what would do.
        expect(ours.stderr, args.join(' ')).to.match(/\ndmalg: .{10,}\n$/);
        const stderr = ours.stderr.replace(/^dmalg: .*\n/m, '');
        expect({ ...ours, stderr }, args.join(' ')).to.deep.equal(theirs);
      }
      expect(existsSync(join(folder, '.hash'))).to.equal(false);
      expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).to.deep.equal([]);
    }),
  );

  it(
    'format, verify and dump print what veritysetup prints; its own options have its letters',
    inVerityFolder(async (folder) => {
      images(folder);
      const args = [
        'format',
        'data',
        'hash',
        '-h',
        'sha1',
        '-s',
        '00ff',
        '--uuid',
        uuid,
        '-v',
        '--root-hash-file',
        'root',
      ];
      const theirs = veritysetup(folder, args);
      const tree = readFileSync(join(folder, 'hash'));
      const theirRoot = readFileSync(join(folder, 'root'), 'latin1');
      expect(verity(folder, args)).to.deep.equal(theirs);
      expect(readFileSync(join(folder, 'hash')).equals(tree)).to.equal(true);
      expect(readFileSync(join(folder, 'root'), 'latin1')).to.equal(theirRoot);
      expect(verity(folder, ['dump', 'hash'])).to.deep.equal(veritysetup(folder, ['dump', 'hash']));
      const verify = ['verify', 'data', 'hash', '--root-hash-file', 'root', '-v'];
      expect(verity(folder, verify)).to.deep.equal(veritysetup(folder, verify));
    }),
  );

  it(
    'verify lists every bad block, says veritysetup’s lines, and ends with 2',
    inVerityFolder(async (folder) => {
      images(folder);
      verity(folder, ['format', 'data', 'hash', ...common, '--root-hash-file', 'root']);
      const root = readFileSync(join(folder, 'root'), 'latin1');
      breakByte(join(folder, 'data'), 4096 * 77 + 5);
      breakByte(join(folder, 'data'), 4096 * 299);
      const theirs = veritysetup(folder, ['verify', 'data', 'hash', root]);
      const ours = verity(folder, ['verify', 'data', 'hash', root]);
      expect(ours.stderr).to.equal(theirs.stderr);
      expect([theirs.status, ours.status]).to.deep.equal([2, 2]);
      expect(ours.stdout).to.equal(
        'data: data block 77 at 315392: its digest differs\n' +
          'data: data block 299 at 1224704: its digest differs\n' +
          'bad: 2 data blocks, 0 hash blocks\n',
      );
      const few = verity(folder, ['verify', 'data', 'hash', root, '--max-errors', '1', '--json', '--jobs', '1']);
      const found = JSON.parse(few.stdout);
      expect(few.status).to.equal(2);
      expect(found).to.include({ good: false, rootHash: true, badDataBlocks: 2, badHashBlocks: 0 });
      expect(found.bad).to.deep.equal([
        { area: 'data', level: -1, block: 77, position: 315392, path: 'data', reason: 'digest' },
      ]);
      const wrong = verity(folder, ['verify', 'data', 'hash', `00${root.slice(2)}`]);
      expect(wrong).to.include({ status: 2, stderr: 'Verification of root hash failed.\n' });
      const none = verity(folder, ['verify', 'data', 'hash', '--root-hash-file', 'nofile']);
      expect(none.status).to.equal(1);
      expect(none.stderr).to.contain('Cannot read root hash file nofile.');
    }),
  );

  it(
    'a tree larger than the data that it is verified with has something in its spare area',
    inVerityFolder(async (folder) => {
      images(folder);
      const more = ['--no-superblock', '--salt', '00ff'];
      verity(folder, ['format', 'data', 'hash', ...more, '--root-hash-file', 'root']);
      const args = ['verify', 'data', 'hash', '--root-hash-file', 'root', ...more, '--data-blocks', '200'];
      const theirs = veritysetup(folder, args);
      const ours = verity(folder, args);
      expect(theirs.stderr).to.contain('Spare area is not zeroed at position');
      expect(ours.stderr).to.contain('Spare area is not zeroed at position');
      expect([theirs.status, ours.status]).to.deep.equal([2, 2]);
    }),
  );

  it(
    'dump says of parity what veritysetup says, and of the hash device with parity in it',
    inVerityFolder(async (folder) => {
      images(folder);
      veritysetup(folder, ['format', 'data', 'hash', ...common, '--fec-device', 'fec']);
      veritysetup(folder, ['format', 'data', 'both', ...common, '--fec-device', 'both', '--fec-offset', '20480']);
      const edge = ['--data-blocks', '250', '--fec-device', 'edge', '--fec-offset', '16384'];
      veritysetup(folder, ['format', 'data', 'edge', ...common, ...edge]);
      const both = ['format', 'data', 'ours', ...common, '--fec-device', 'ours', '--fec-offset', '20480'];
      const named = (text: string) => text.replaceAll('theirs', 'ours');
      const theirs = veritysetup(
        folder,
        both.map((word) => (word === 'ours' ? 'theirs' : word)),
      );
      expect(named(theirs.stdout)).to.equal(verity(folder, both).stdout);
      for (const args of [
        ['hash'],
        ['hash', '--fec-device', 'fec'],
        ['hash', '--fec-device', 'fec', '--fec-roots', '24'],
        ['hash', '--fec-device', 'fec', '--fec-offset', '4096'],
        ['both', '--fec-device', 'both', '--fec-offset', '20480'],
        ['both', '--fec-device', 'both', '--fec-offset', '20480', '--fec-roots', '7'],
        ['both', '--fec-device', 'fec'],
        ['edge', '--fec-device', 'edge', '--fec-offset', '16384'],
      ])
        expect(verity(folder, ['dump', ...args]), args.join(' ')).to.deep.equal(veritysetup(folder, ['dump', ...args]));
      expect(verity(folder, ['dump', 'hash', '--fec-device', 'nofile'])).to.include({ status: 4, stdout: '' });
      expect(verity(folder, ['dump', 'hash', '--fec-device', 'fec', '--fec-roots', '25'])).to.include({ status: 1 });
      const { fec } = JSON.parse(verity(folder, ['dump', 'hash', '--fec-device', 'fec', '--json']).stdout);
      expect(fec).to.deep.equal({ roots: 2, blocks: 4, end: 16384, inHashFile: false });
    }),
  );

  it(
    'reads a root hash as people keep it',
    inFolder((folder) => {
      images(folder);
      verity(folder, ['format', 'data', 'hash', ...common, '--root-hash-file', 'root']);
      const root = readFileSync(join(folder, 'root'), 'latin1');
      const wrong = `00${root.slice(2)}`;
      const verify = (args: string[], input = '') => {
        const { status, stderr } = dmalg(folder, ['verity', 'verify', 'data', 'hash', ...args], input);
        return { status, stderr };
      };
      const good = { status: 0, stderr: '' };
      for (const text of [
        `${root}\n`,
        `${root}\r\n`,
        `${root}  data.img\n`,
        `\n  ${root}\t*data.img\n${wrong}  other.img\n`,
        `${root.toUpperCase()}\n# of the image of Friday\n`,
        `${root} ${'x'.repeat(10_000)}`,
      ]) {
        writeFileSync(join(folder, 'kept'), text);
        expect(verify(['--root-hash-file', 'kept']), JSON.stringify(text.slice(0, 100))).to.deep.equal(good);
        expect(verify(['--root-hash-file', '-'], text)).to.deep.equal(good);
      }
      expect(verify([root.toUpperCase()])).to.deep.equal(good);
      for (const text of [
        '',
        '\n',
        `${wrong} ${root}\n`,
        `x${root}`,
        `${root.slice(1)}`,
        `${root.slice(2)} `,
        `data.img ${root}`,
      ]) {
        writeFileSync(join(folder, 'kept'), text);
        const { status, stderr } = verify(['--root-hash-file', 'kept']);
        expect([text, status]).to.deep.equal([text, text.startsWith(wrong) ? 2 : 1]);
        if (status === 1) expect(stderr).to.match(/^Invalid root hash string specified.\ndmalg: expected .*hex digits/);
      }
    }),
  );

  it(
    'never writes a root hash over what it is of',
    inFolder((folder) => {
      images(folder);
      symlinkSync('data', join(folder, 'link'));
      symlinkSync('.', join(folder, 'here'));
      const before = readdirSync(folder);
      const data = readFileSync(join(folder, 'data'));
      for (const path of ['data', './link', 'here/hash', `${folder}/hash`, 'here/fec', '-']) {
        const args = ['format', 'data', 'hash', '--fec-device', 'fec', '--root-hash-file', path];
        const { status, stderr } = verity(folder, args);
        expect(status, path).to.equal(1);
        expect(stderr).to.match(/^dmalg: format: --root-hash-file/);
        expect(readdirSync(folder)).to.deep.equal(before);
      }
      expect(readFileSync(join(folder, 'data')).equals(data)).to.equal(true);
      // One file for tree and parity, whatever it is called.
      const two = ['format', 'data', 'hash', ...common, '--fec-device', 'here/hash', '--fec-offset', '20480'];
      expect(verity(folder, two)).to.include({ status: 0, stderr: '' });
      const out = ['--output', 'new', '--output-hash', 'here/new'];
      const image = ['data', 'hash', '--fec-device', 'hash', '--fec-offset', '20480', '00'.repeat(32)];
      expect(verity(folder, ['repair', ...image, ...out])).to.include({ status: 5 });
    }),
  );

  it(
    'warns of bytes that no digest covers',
    inFolder((folder) => {
      images(folder);
      writeFileSync(join(folder, 'tail'), fill(300 * 4096 + 7, 1));
      const warning = 'WARNING: tail: the last 7 bytes fill no block, and no digest covers them.\n';
      expect(verity(folder, ['format', 'tail', 'hash', ...common, '--root-hash-file', 'root']).stderr).to.equal(
        warning,
      );
      const verify = ['hash', '--root-hash-file', 'root'];
      expect(verity(folder, ['verify', 'tail', ...verify])).to.include({ status: 0, stderr: warning });
      expect(verity(folder, ['verify', 'data', ...verify])).to.include({ status: 0, stderr: '' });
      const less = ['format', 'data', 'hash', ...common, '--data-blocks', '299'];
      expect(verity(folder, less).stderr).to.equal('');
      const one = ['data', 'data', ...common, '--data-blocks', '299', '--hash-offset', '1224704'];
      expect(verity(folder, ['format', ...one]).stderr).to.equal('');
    }),
  );

  it(
    'a disk that is full is one status, and names the file',
    inFolder((folder) => {
      images(folder);
      for (const args of [
        ['format', 'data', 'hash', '--data-block-size', '512', '--hash-block-size', '512'],
        ['format', 'data', 'hash', '--fec-device', 'fec', '--fec-roots', '24'],
        ['format', 'data', 'fresh', '--no-superblock', '--hash-offset', '40960'],
      ]) {
        const { status, stderr } = spawnSync(
          'bash',
          ['-c', 'ulimit -f 30; exec "$@"', 'bash', process.execPath, program, 'verity', ...args],
          { cwd: folder, encoding: 'utf8' },
        );
        expect(status, stderr).to.equal(4);
        expect(stderr).to.match(/\ndmalg: (hash|fec|fresh): EFBIG/);
      }
      expect(readdirSync(folder).sort()).to.deep.equal(['data', 'less', 'tiny']);
      // The image is good then, and its root hash is printed.
      const unstored = verity(folder, ['format', 'data', 'hash', '--root-hash-file', '/dev/full']);
      expect(unstored.status).to.equal(4);
      expect(unstored.stderr).to.match(/^Cannot create root hash file \/dev\/full for writing.\ndmalg: .*ENOSPC/);
      expect(unstored.stdout).to.match(/Root hash: +\t[0-9a-f]{64}\n/);
      const noFolder = verity(folder, ['format', 'data', 'hash', '--fec-device', 'nofolder/fec']);
      expect(noFolder).to.include({ status: 1, stdout: '' });
    }),
  );
});
