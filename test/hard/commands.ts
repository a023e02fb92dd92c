import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encrypt } from '../../lib/index.js';
import { randomBytes } from '../support/random-bytes.js';
import { VerityTestImage } from '../support/verity-image.js';

/** A command of `dmalg`, and the files it works on. */
export interface Command {
  name: string;
  /** Makes the files that it reads. */
  prepare(folder: string): unknown;
  args(folder: string): string[];
  /** New files: each is there whole, or not at all. */
  outputs: readonly string[];
  /** Files that it writes in place: each byte is the old one, or the one that it is to be. */
  inPlace: readonly string[];
  /** What it writes differs from run to run. */
  random?: boolean;
  /** It mends what it cannot read, and says so: where a read fails it says more. */
  mends?: boolean;
}

const key = randomBytes('key', 64);
const plain = randomBytes('plain', 7 << 19);
const library = ['--provider', 'library'];
const nothing: readonly string[] = [];

function files(contents: Record<string, Uint8Array>): (folder: string) => void {
  return (folder) => {
    for (const [name, bytes] of Object.entries(contents)) writeFileSync(join(folder, name), bytes);
  };
}

const cryptLine = (folder: string) =>
  `0 ${plain.length / 512} crypt aes-xts-plain64 ${key.toString('hex')} 0 ${folder}/volume 0`;

/** So large that its blocks of data are read in several bios. */
const blocks = 900;
const roots = 4;

async function makeImage(folder: string): Promise<VerityTestImage> {
  const image = await VerityTestImage.make(folder, { blocks, roots });
  writeFileSync(join(folder, 'root'), image.rootHash.toString('hex'));
  return image;
}

/** With bad blocks in all areas. */
async function makeBadImage(folder: string): Promise<void> {
  const image = await makeImage(folder);
  for (const block of [3, 77, 400, 899]) image.spoil('data', block);
  image.spoil('hash', 2);
  image.spoil('fec', 1);
}

const imageArgs = (folder: string) => [
  ...[`${folder}/data`, `${folder}/hash`, '--root-hash-file', `${folder}/root`],
  ...['--fec-device', `${folder}/fec`, '--fec-roots', `${roots}`, ...library],
];
const formatArgs = ['--salt', '00ff5a', '--uuid', '9f7a2b1c-0000-4000-8000-000000000001'];

/** Where hash and FEC areas lie in a file that holds all of an image. */
const hashOffset = blocks * 4096;
const fecOffset = hashOffset + 16 * 4096;

export const commands: readonly Command[] = [
  ...(['encrypt', 'decrypt'] as const).map((direction) => ({
    name: `crypt ${direction}`,
    prepare: files({ in: plain, key }),
    args: (folder: string) => [
      ...['crypt', direction, `${folder}/in`, `${folder}/out`],
      ...['--cipher', 'aes-xts-plain64', '--key-file', `${folder}/key`, ...library],
    ],
    outputs: ['out'],
    inPlace: nothing,
  })),
  {
    name: 'dm read',
    prepare: files({ volume: plain }),
    args: (folder) => ['dm', 'read', '--table', cryptLine(folder), '--output', `${folder}/out`, ...library],
    outputs: ['out'],
    inPlace: nothing,
  },
  {
    name: 'dm write',
    prepare: files({ volume: Buffer.alloc(plain.length, 1), in: plain }),
    args: (folder) => ['dm', 'write', '--table', cryptLine(folder), '--input', `${folder}/in`, ...library],
    outputs: nothing,
    inPlace: ['volume'],
  },
  {
    name: 'verity format, new files',
    prepare: files({ data: randomBytes('data', blocks * 4096) }),
    args: (folder) => ['verity', 'format', ...imageArgs(folder), ...formatArgs],
    outputs: ['hash', 'fec', 'root'],
    inPlace: nothing,
  },
  {
    name: 'verity format, one file',
    prepare: files({ image: Buffer.concat([randomBytes('data', blocks * 4096), Buffer.alloc(100 * 4096, 1)]) }),
    args: (folder) => [
      ...['verity', 'format', `${folder}/image`, `${folder}/image`, '--data-blocks', `${blocks}`],
      ...['--hash-offset', `${hashOffset}`, '--fec-device', `${folder}/image`, '--fec-offset', `${fecOffset}`],
      ...[...formatArgs, ...library],
    ],
    outputs: nothing,
    inPlace: ['image'],
  },
  {
    name: 'verity verify',
    prepare: makeImage,
    args: (folder) => ['verity', 'verify', ...imageArgs(folder)],
    outputs: nothing,
    inPlace: nothing,
  },
  {
    name: 'dm read of verity',
    prepare: async (folder) => {
      const image = await makeImage(folder);
      image.spoil('data', 5);
      writeFileSync(join(folder, 'table'), image.line().replaceAll(folder, 'FOLDER'));
    },
    args: (folder) => {
      const line = readFileSync(join(folder, 'table'), 'utf8').replaceAll('FOLDER', folder);
      return ['dm', 'read', '--table', line, '--output', `${folder}/out`, ...library];
    },
    outputs: ['out'],
    inPlace: nothing,
  },
  {
    name: 'verity repair to new files',
    prepare: makeBadImage,
    args: (folder) => [
      ...['verity', 'repair', ...imageArgs(folder), '--output', `${folder}/data.new`],
      ...['--output-hash', `${folder}/hash.new`, '--output-fec', `${folder}/fec.new`],
    ],
    outputs: ['data.new', 'hash.new', 'fec.new'],
    inPlace: nothing,
    mends: true,
  },
  {
    name: 'verity repair in place',
    prepare: makeBadImage,
    args: (folder) => ['verity', 'repair', ...imageArgs(folder), '--in-place'],
    outputs: nothing,
    inPlace: ['data', 'hash', 'fec'],
    mends: true,
  },
  {
    name: 'hash',
    prepare: files({ in: plain }),
    args: (folder) => ['hash', '--name', 'sha256', `${folder}/in`, ...library],
    outputs: nothing,
    inPlace: nothing,
  },
  {
    name: 'rng',
    prepare: () => {},
    args: (folder) => ['rng', '--bytes', '300000', '--output', `${folder}/out`, ...library],
    outputs: ['out'],
    inPlace: nothing,
    random: true,
  },
  {
    name: 'encrypt',
    prepare: files({ in: plain.subarray(0, 300_000), key: key.subarray(0, 32) }),
    args: (folder) => [
      ...['encrypt', '--name', 'cbc(aes)', '--key-file', `${folder}/key`, '--iv', '00'.repeat(16)],
      ...[`${folder}/in`, `${folder}/out`, ...library],
    ],
    outputs: ['out'],
    inPlace: nothing,
  },
  {
    name: 'decrypt, authenticated',
    prepare: (folder) => {
      const options = { key: key.subarray(0, 32), iv: Buffer.alloc(12), provider: 'library' } as const;
      files({ in: encrypt('gcm(aes)', options, plain.subarray(0, 300_000)), key: options.key })(folder);
    },
    args: (folder) => [
      ...['decrypt', '--name', 'gcm(aes)', '--key-file', `${folder}/key`, '--iv', '00'.repeat(12)],
      ...[`${folder}/in`, `${folder}/out`, ...library],
    ],
    outputs: ['out'],
    inPlace: nothing,
  },
];

export const writingCommands = commands.filter(({ outputs, inPlace }) => outputs.length + inPlace.length > 0);
