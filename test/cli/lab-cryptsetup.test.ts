import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { randomBytes } from '../support/random-bytes.js';
import { lab, needLab, withFolder } from './lab-run.js';
import { dmalg } from './run.js';

/** A plain volume: options of `cryptsetup open --type plain`, and what a table line and `dmalg crypt` have instead. */
interface Volume {
  cipher: string;
  /** Bytes. */
  key: number;
  cryptsetup?: string[];
  /** Sectors. */
  ivOffset?: number;
  start?: number;
  features?: string[];
}

const large = ['sector_size:4096', 'iv_large_sectors'];
const volumes: Volume[] = [
  { cipher: 'aes-xts-plain64', key: 32 },
  { cipher: 'aes-xts-plain64', key: 64, cryptsetup: ['--sector-size=4096'], features: ['sector_size:4096'] },
  {
    cipher: 'aes-xts-plain64',
    key: 64,
    cryptsetup: ['--sector-size=4096', '--iv-large-sectors', '--skip=16', '--offset=8'],
    ...{ ivOffset: 16, start: 8, features: large },
  },
  { cipher: 'aes-cbc-essiv:sha256', key: 32, cryptsetup: ['--offset=3', '--skip=5'], ivOffset: 5, start: 3 },
  { cipher: 'camellia-cbc-plain64', key: 24, cryptsetup: ['--skip=1000000'], ivOffset: 1_000_000 },
];

/** Bytes of each half of a volume: we write the first, cryptsetup the second. */
const half = 65536;

/** Runs in the guest, in the folder that comes back: each volume is opened once, read, and written to. */
function script(output: string): string {
  const lines = volumes.flatMap(({ cipher, key, cryptsetup = [] }, index) => [
    `cryptsetup open --type plain --cipher ${cipher} --key-size ${key * 8} --key-file key${index} ${cryptsetup.join(' ')} volume${index} plain`,
    `dmsetup table --showkeys plain >table${index}`,
    `dd if=/dev/mapper/plain of=read${index} bs=${half} count=1 status=none`,
    `dd if=second${index} of=/dev/mapper/plain bs=${half} seek=1 conv=fsync status=none`,
    'cryptsetup close plain',
  ]);
  // cryptsetup attaches loop devices by itself, for which it wants files of the guest's own.
  const back = ['read', 'table', 'volume'].map((name) => `${name}?`).join(' ');
  const mine = '/dev/shm/plain';
  const first = [`cp -r '${output}' ${mine}`, `cd ${mine}`, 'modprobe --all loop dm-crypt'];
  return ['set -e', ...first, ...lines, `cp ${back} '${output}'`].join('\n');
}

describe('plain volumes of cryptsetup and ours', function () {
  this.timeout(600_000);

  before(needLab);

  it('each opens what the other has written', () =>
    withFolder(async (folder) => {
      const output = join(folder, 'output');
      mkdirSync(output);
      const run = (args: string[], input?: Uint8Array) => {
        const outcome = dmalg(output, [...args, '--provider', 'library'], input);
        expect(outcome).to.deep.include({ status: 0, stderr: '' });
        return outcome.stdout;
      };
      const prepared = volumes.map((volume, index) => {
        const { cipher, ivOffset = 0, start = 0, features = [] } = volume;
        const key = randomBytes(`key ${index}`, volume.key);
        const [first, second] = [randomBytes(`first ${index}`, half), randomBytes(`second ${index}`, half)];
        const options = ['--cipher', cipher, '--key-file', `key${index}`, '--iv-offset', `${ivOffset}`];
        if (features.length) options.push('--sector-size', '4096');
        if (features.includes('iv_large_sectors')) options.push('--iv-large-sectors');
        writeFileSync(join(output, `key${index}`), key);
        writeFileSync(join(output, `second${index}`), second);
        const sealed = run(['crypt', 'encrypt', '-', '-', ...options], first);
        writeFileSync(
          join(output, `volume${index}`),
          Buffer.concat([Buffer.alloc(start * 512), sealed, Buffer.alloc(half)]),
        );
        const counted = features.length ? ` ${features.length} ${features.join(' ')}` : '';
        const line = (device: string) =>
          `0 ${(2 * half) / 512} crypt ${cipher} ${key.toString('hex')} ${ivOffset} ${device} ${start}${counted}`;
        return { first, second, options, start, line };
      });

      const { status, stderr } = await lab(['--quiet', '--output', output, '--', 'sh', '-c', script(output)]);
      expect(stderr).to.equal('');
      expect(status).to.equal(0);

      for (const [index, { first, second, options, start, line }] of prepared.entries()) {
        const what = `${volumes[index]!.cipher} ${volumes[index]!.cryptsetup?.join(' ') ?? ''}`;
        const file = (name: string) => readFileSync(join(output, `${name}${index}`));
        expect(file('table').toString(), what).to.match(/ \d+:\d+ /);
        expect(
          file('table')
            .toString()
            .trim()
            .replace(/ \d+:\d+ /, ' DEV '),
          what,
        ).to.equal(line('DEV'));
        expect(file('read').equals(first), `${what}: cryptsetup reads what we wrote`).to.equal(true);
        const plain = Buffer.concat([first, second]);
        const sealed = file('volume').subarray(start * 512);
        expect(run(['crypt', 'decrypt', '-', '-', ...options], sealed).equals(plain), `${what}: crypt`).to.equal(true);
        writeFileSync(join(output, 'line'), line(`volume${index}`));
        expect(run(['dm', 'read', '--table', '@line']).equals(plain), `${what}: dm`).to.equal(true);
      }
    }));
});
