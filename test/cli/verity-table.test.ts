import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { fill, inVerityFolder, veritysetup } from '../support/veritysetup.js';
import { dmalg, inFolder, verity } from './run.js';

const uuid = '11111111-2222-3333-4444-555555555555';
const common = ['--uuid', uuid, '--salt', '00ff'];

describe('dmalg verity table, size, and options of format', function () {
  this.timeout(600_000);

  /** An image of 300 blocks with these options of format. */
  function format(folder: string, ...options: string[]) {
    writeFileSync(join(folder, 'data'), fill(300 * 4096, 1));
    const made = verity(folder, ['format', 'data', 'hash', '--root-hash-file', 'root', ...common, ...options]);
    expect(made).to.include({ status: 0, stderr: '' });
  }
  const image = ['data', 'hash', '--root-hash-file', 'root'];

  const lines: { made?: string[]; hashSize?: number; given?: string[]; options?: string[]; words: string }[] = [
    { words: '1 data hash 4096 4096 300 1 sha256 ROOT 00ff' },
    { made: ['--salt', '-', '--format', '0', '--hash', 'sha1'], words: '0 data hash 4096 4096 300 1 sha1 ROOT -' },
    {
      made: ['--data-block-size', '512', '--hash-block-size', '1024', '--hash-offset', '1024'],
      given: ['--hash-offset', '1024'],
      words: '1 data hash 512 1024 2400 2 sha256 ROOT 00ff',
    },
    {
      made: ['--no-superblock', '--salt', 'ab', '--hash', 'ripemd160'],
      given: ['--no-superblock', '--salt', 'ab', '--hash', 'ripemd160'],
      words: '1 data hash 4096 4096 300 0 rmd160 ROOT ab',
    },
    {
      made: ['--fec-device', 'fec'],
      given: ['--fec-device', 'fec'],
      words:
        '1 data hash 4096 4096 300 1 sha256 ROOT 00ff 8 use_fec_from_device fec fec_blocks 304 fec_start 0 fec_roots 2',
    },
    // All that the hash device has counts, and where parity is on it, what is before that.
    {
      made: ['--fec-device', 'fec', '--fec-roots', '4', '--fec-offset', '8192'],
      hashSize: 20 * 4096,
      given: ['--fec-device', 'fec', '--fec-roots', '4', '--fec-offset', '8192'],
      words:
        '1 data hash 4096 4096 300 1 sha256 ROOT 00ff 8 use_fec_from_device fec fec_blocks 319 fec_start 2 fec_roots 4',
    },
    {
      made: ['--fec-device', 'hash', '--fec-offset', '32768'],
      given: ['--fec-device', 'hash', '--fec-offset', '32768'],
      words:
        '1 data hash 4096 4096 300 1 sha256 ROOT 00ff 8 use_fec_from_device hash fec_blocks 307 fec_start 8 fec_roots 2',
    },
    {
      made: ['--fec-device', 'fec'],
      hashSize: 20 * 4096,
      given: ['--fec-device', 'fec', '--fec-blocks', '304'],
      options: [
        '--panic-on-corruption',
        '--error-as-corruption',
        '--ignore-zero-blocks',
        '--check-at-most-once',
        '--use-tasklets',
      ],
      words:
        '1 data hash 4096 4096 300 1 sha256 ROOT 00ff 13 panic_on_corruption panic_on_error ignore_zero_blocks check_at_most_once try_verify_in_tasklet use_fec_from_device fec fec_blocks 304 fec_start 0 fec_roots 2',
    },
    { options: ['--ignore-corruption'], words: '1 data hash 4096 4096 300 1 sha256 ROOT 00ff 1 ignore_corruption' },
    {
      options: ['--restart-on-corruption', '--error-as-corruption'],
      words: '1 data hash 4096 4096 300 1 sha256 ROOT 00ff 2 restart_on_corruption restart_on_error',
    },
  ];
  for (const { made = [], hashSize, given = [], options = [], words } of lines)
    it(
      `prints ${words}, which dm reads`,
      inFolder((folder) => {
        if (hashSize) writeFileSync(join(folder, 'hash'), Buffer.alloc(hashSize));
        format(folder, ...made);
        const root = readFileSync(join(folder, 'root'), 'latin1');
        const line = `0 2400 verity ${words.replace('ROOT', root)}`;
        expect(verity(folder, ['table', ...image, ...given, ...options])).to.deep.equal({
          status: 0,
          stdout: `${line}\n`,
          stderr: '',
        });
        expect(verity(folder, ['table', 'data', 'hash', root, ...given, ...options]).stdout).to.equal(`${line}\n`);
        const read = dmalg(folder, ['dm', 'read', '--table', line, '--provider', 'library']);
        expect(read.stdout.equals(readFileSync(join(folder, 'data')))).to.equal(true);
        const boot = verity(folder, ['table', ...image, ...given, ...options, '--dm-mod-create', 'root']);
        expect(boot.stdout).to.equal(`dm-mod.create="root,,,ro,${line}"\n`);
      }),
    );

  it(
    'refuses what no kernel would take',
    inFolder((folder) => {
      format(folder, '--fec-device', 'fec', '--fec-offset', '512');
      for (const [options, words] of [
        [
          ['--fec-device', 'fec', '--fec-offset', '512'],
          /Unsupported VERITY FEC offset.\ndmalg: .*multiple of 4096, got 512/,
        ],
        [['--ignore-corruption', '--panic-on-corruption'], /--ignore-corruption, --panic-on-corruption/],
        [['--error-as-corruption'], /--error-as-corruption: expected/],
        [['--dm-mod-create', 'a,b'], /--dm-mod-create/],
        [['--dm-mod-create', ''], /--dm-mod-create/],
        [['--fec-blocks', '303', '--fec-device', 'fec'], /--fec-blocks: expected at least 304/],
      ] as const) {
        const { status, stdout, stderr } = verity(folder, ['table', ...image, ...options]);
        expect([status, stdout], options.join(' ')).to.deep.equal([1, '']);
        expect(stderr).to.match(words);
      }
      expect(verity(folder, ['table', 'data', 'hash', '00']).status).to.equal(1);
    }),
  );

  /** What format writes of it, and what size and a dry run say that it would. */
  const sizes: string[][] = [
    [],
    ['--format', '0', '--hash', 'sha512'],
    ['--data-block-size', '512', '--hash-block-size', '1024', '--hash-offset', '5120'],
    ['--no-superblock', '--data-blocks', '129'],
    ['--data-blocks', '1'],
    ['--fec-device', 'fec'],
    ['--fec-device', 'fec', '--fec-roots', '24', '--fec-offset', '4096'],
  ];
  for (const options of sizes)
    it(
      `says how long it will be: ${options.join(' ')}`,
      inFolder((folder) => {
        writeFileSync(join(folder, 'data'), fill(300 * 4096, 1));
        const before = readdirSync(folder);
        const own = options.map((word) => word.replace('fec', 'fec'));
        const size = JSON.parse(verity(folder, ['size', 'data', ...own, '--json']).stdout);
        const plan = verity(folder, ['format', 'data', 'hash', ...own, '--dry-run', '--json']);
        expect(JSON.parse(plan.stdout)).to.deep.equal(size);
        const blocks = options.includes('--data-blocks') ? [] : ['--data-blocks', `${size.dataBlocks}`];
        expect(JSON.parse(verity(folder, ['size', ...own, ...blocks, '--json']).stdout)).to.deep.equal(size);
        expect(readdirSync(folder)).to.deep.equal(before);
        format(folder, ...options.filter((word) => word !== '--salt'));
        if (size.hashBlocks > 0) expect(readFileSync(join(folder, 'hash')).length).to.equal(size.hashEnd);
        if (size.fec) {
          expect(readFileSync(join(folder, 'fec')).length).to.equal(size.fec.end);
          expect(size.fec.bytes).to.equal(size.fec.blocks * 4096);
        }
        const text = verity(folder, ['size', 'data', ...own]).stdout;
        expect(text)
          .to.match(/^Data blocks: +\t\d+\n/)
          .and.contain(`Hash area ends at:\t${size.hashEnd} [bytes]\n`);
      }),
    );

  it(
    'a dry run of format writes nothing, and refuses what format refuses',
    inFolder((folder) => {
      format(folder, '--fec-device', 'fec');
      const read = () =>
        ['data', 'hash', 'fec', 'root'].map((name) => readFileSync(join(folder, name)).toString('hex'));
      const before = read();
      truncateSync(join(folder, 'hash'), 600 * 4096);
      const longer = JSON.parse(
        verity(folder, ['format', 'data', 'hash', '--fec-device', 'fec', '--dry-run', '--json']).stdout,
      );
      expect(longer.fec.blocks).to.equal(Math.ceil(899 / 253) * 2);
      truncateSync(join(folder, 'hash'), 5 * 4096);
      for (const [options, words] of [
        [['data', 'data'], /Data area overlaps with hash area./],
        [['data', 'hash', '--fec-device', 'hash'], /Hash area overlaps with FEC area./],
        [['data', 'new', '--fec-device', './new', '--fec-offset', '4096'], /Hash area overlaps with FEC area./],
        [['data', 'hash', '--fec-device', 'data', '--fec-offset', '4096'], /Data area overlaps with FEC area./],
        [['data', 'hash', '--data-block-size', '1000'], /block size/],
        [['nofile', 'hash'], /does not exist/],
      ] as const) {
        const dry = verity(folder, ['format', ...options, '--dry-run']);
        const real = verity(folder, ['format', ...options]);
        expect(dry, options.join(' ')).to.deep.equal(real);
        expect(dry.stderr).to.match(words);
      }
      expect(read()).to.deep.equal(before);
      expect(readdirSync(folder).sort()).to.deep.equal(['data', 'fec', 'hash', 'root']);
    }),
  );

  it(
    '--like takes what an image was made with, but for what is given',
    inVerityFolder(async (folder) => {
      writeFileSync(join(folder, 'data'), fill(300 * 4096, 1));
      writeFileSync(join(folder, 'next'), fill(310 * 4096, 2));
      const shape = ['--hash', 'sha512', '--format', '0', '--data-block-size', '1024', '--hash-block-size', '2048'];
      veritysetup(folder, ['format', 'data', 'old', ...common, ...shape]);
      const theirs = veritysetup(folder, ['format', 'next', 'theirs', ...common, ...shape]);
      const ours = verity(folder, ['format', 'next', 'ours', '--like', 'old']);
      expect({ ...ours, stdout: ours.stdout.replaceAll('ours', 'theirs') }).to.deep.equal(theirs);
      expect(readFileSync(join(folder, 'ours')).equals(readFileSync(join(folder, 'theirs')))).to.equal(true);
      const dry = verity(folder, ['format', 'next', 'new', '--like', 'old', '--dry-run', '--json']);
      expect(JSON.parse(dry.stdout)).to.include({ dataBlockSize: 1024, hashBlockSize: 2048, dataBlocks: 1240 });
      // It may be the one that is written anew.
      const own = verity(folder, ['format', 'next', 'old', '--like', 'old', '--salt', 'abcd', '--hash', 'sha256']);
      expect(own.stdout)
        .to.match(/Salt: +\tabcd\n/)
        .and.match(/Hash algorithm: +\tsha256\n/)
        .and.contain(uuid);
      expect(verity(folder, ['format', 'next', 'new', '--like', 'data']).status).to.equal(1);
      expect(readdirSync(folder)).to.not.include('new');
    }),
  );

  it(
    'each verb refuses the options of the others by name',
    inFolder((folder) => {
      format(folder);
      const before = readdirSync(folder);
      const takes: Record<string, string[]> = {
        format: ['data', 'new'],
        verify: image,
        dump: ['hash'],
        repair: [...image, '--fec-device', 'fec', '--dry-run'],
        table: image,
        size: ['data'],
      };
      for (const [verb, options] of Object.entries({
        format: [
          '--in-place',
          '--output=x',
          '--max-errors=1',
          '--fec-blocks=9',
          '--dm-mod-create=x',
          '--ignore-corruption',
        ],
        verify: ['--in-place', '--output=x', '--dry-run', '--uuid=x', '--like=hash', '--check-at-most-once'],
        dump: [
          '--salt=00',
          '--root-hash-file=root',
          '--no-superblock',
          '--data-blocks=4',
          '--dry-run',
          '--max-errors=1',
        ],
        repair: ['--uuid=x', '--like=hash', '--dm-mod-create=x'],
        table: ['--json', '--in-place', '--dry-run', '--uuid=x'],
        size: ['--root-hash-file=root', '--uuid=x', '--dry-run', '--fec-blocks=400'],
      }))
        for (const option of options) {
          const { status, stdout, stderr } = verity(folder, [verb, ...takes[verb]!, option]);
          expect([status, stdout], `${verb} ${option}`).to.deep.equal([1, '']);
          expect(stderr).to.equal(
            `dmalg: ${option.split('=')[0]}: not an option of verity ${verb}; see 'dmalg verity --help'\n`,
          );
        }
      expect(readdirSync(folder)).to.deep.equal(before);
    }),
  );
});
