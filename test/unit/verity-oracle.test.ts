import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { headerText } from '../../lib/cli/verity/header.js';
import { dumpVerity, type FormatOptions, formatVerity, type VerifyOptions, verifyVerity } from '../../lib/index.js';
import { breakByte, fill, generator, inVerityFolder, sparseFile, veritysetup } from '../support/veritysetup.js';

interface Row {
  /** Bytes of the data file. */
  size: number;
  options?: Omit<FormatOptions, 'salt'>;
  /** Bytes of salt. Default 32. */
  salt?: number;
  /** The hash area is in the data file. */
  oneFile?: boolean;
}

const uuid = '11111111-2222-3333-4444-555555555555';

const blocks = [1, 2, 127, 128, 129, 16383, 16384, 16385];
const sizes: Row[] = [
  ...blocks.map((count) => ({ size: count * 512, options: { dataBlockSize: 512 } })),
  ...blocks.slice(0, 5).map((count) => ({ size: count * 4096 })),
  { size: 3 * 4096 + 1 },
  { size: 130 * 4096 + 4095 },
];
const blockSizes: Row[] = [512, 1024, 2048, 4096, 8192].flatMap((dataBlockSize) =>
  [512, 1024, 4096, 16384].map((hashBlockSize) => ({ size: 700_000, options: { dataBlockSize, hashBlockSize } })),
);
const hashes: Row[] = [
  'sha1',
  'sha224',
  'sha384',
  'sha512',
  'sha512-224',
  'sha512-256',
  'md5',
  'rmd160',
  'ripemd160',
  'sha3-256',
  'blake2b-512',
  'blake2s-256',
  'sm3',
  'SHA256',
].flatMap((hash) => ([0, 1] as const).map((hashType) => ({ size: 300 * 4096, options: { hash, hashType } })));
const small: Row[] = (['sha1', 'sha512'] as const).flatMap((hash) =>
  ([0, 1] as const).map((hashType) => ({
    size: 999 * 512,
    options: { hash, hashType, dataBlockSize: 512, hashBlockSize: 512 },
  })),
);
const salts: Row[] = [0, 1, 31, 32, 33, 64, 256].flatMap((salt) =>
  ([0, 1] as const).map((hashType) => ({ size: 200 * 4096, salt, options: { hashType } })),
);
const places: Row[] = [
  { size: 300 * 4096, options: { hashOffset: 512 } },
  { size: 300 * 4096, options: { hashOffset: 40960 } },
  { size: 300 * 4096, options: { superblock: false } },
  { size: 300 * 4096, options: { superblock: false, hashOffset: 5120 } },
  { size: 300 * 4096, options: { dataBlocks: 129 } },
  { size: 300 * 4096, oneFile: true, options: { dataBlocks: 200, hashOffset: 200 * 4096 } },
  { size: 300 * 4096, oneFile: true, options: { dataBlocks: 200, hashOffset: 200 * 4096, superblock: false } },
  { size: 300 * 4096, oneFile: true, options: { dataBlocks: 300, hashOffset: 300 * 4096 + 512 } },
];
const rows = [...sizes, ...blockSizes, ...hashes, ...small, ...salts, ...places];

function nameOf({ size, salt = 32, oneFile, options }: Row): string {
  return JSON.stringify({ size, salt, ...(oneFile && { oneFile }), ...options }).replaceAll('"', '');
}

/** The options as veritysetup spells them. */
function argsOf({ options = {} }: Row, salt: Buffer): string[] {
  const { hash, hashType, dataBlockSize, hashBlockSize, dataBlocks, hashOffset, superblock } = options;
  const numbers = {
    format: hashType,
    'data-block-size': dataBlockSize,
    'hash-block-size': hashBlockSize,
    'data-blocks': dataBlocks,
    'hash-offset': hashOffset,
  };
  return [
    '--salt',
    salt.toString('hex') || '-',
    ...(hash ? ['--hash', hash] : []),
    ...Object.entries(numbers).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, `${value}`])),
    ...(superblock === false ? ['--no-superblock'] : ['--uuid', uuid]),
  ];
}

describe('verity beside veritysetup', function () {
  this.timeout(600_000); // gigabytes, on the slowest of machines

  for (const [index, row] of rows.entries())
    it(
      `${nameOf(row)}: the same tree, text and root; each verifies the other's; both see what is broken`,
      inVerityFolder(async (folder) => {
        const path = (name: string) => join(folder, name);
        const salt = fill(row.salt ?? 32, 99);
        const options: FormatOptions & VerifyOptions = { ...row.options, salt, provider: 'library' };
        const { hashOffset = 0, superblock = true } = options;
        const [theirHash, ourHash] = row.oneFile ? ['data', 'ours'] : ['theirs', 'ourhash'];
        const ourData = row.oneFile ? 'ours' : 'data';
        const bytes = fill(row.size, index);
        writeFileSync(path('data'), bytes);
        writeFileSync(path('ours'), bytes);
        const args = argsOf(row, salt);
        const theirs = veritysetup(folder, ['format', 'data', theirHash, ...args]);
        expect(theirs.status, theirs.stderr).to.equal(0);
        const image = await formatVerity(path(ourData), path(ourHash), { ...options, ...(superblock && { uuid }) });
        expect(headerText(theirHash, image, hashOffset)).to.equal(theirs.stdout);
        // It writes the superblock as a part of a page, so that its file may end with zeroes more.
        const [tree, theirTree] = [readFileSync(path(ourHash)), readFileSync(path(theirHash))];
        expect(theirTree.subarray(0, tree.length).equals(tree)).to.equal(true);
        expect(theirTree.subarray(tree.length).every((byte) => byte === 0)).to.equal(true);
        const root = image.rootHash;

        const good = await verifyVerity(path('data'), path(theirHash), root, options);
        expect(good).to.include({ good: true, rootHash: true, badDataBlocks: 0, badHashBlocks: 0 });
        const judge = () => veritysetup(folder, ['verify', ourData, ourHash, root.toString('hex'), ...args]);
        expect(judge()).to.deep.equal({ status: 0, stdout: '', stderr: '' });
        if (superblock) {
          const dumped = await dumpVerity(path(ourHash), { hashOffset, provider: 'library' });
          const dump = veritysetup(folder, ['dump', ourHash, '--hash-offset', `${hashOffset}`]);
          expect(headerText(ourHash, dumped, hashOffset)).to.equal(dump.stdout);
        }

        // One data block broken, then one hash block too.
        const random = generator(index);
        const { dataBlockSize, hashBlockSize, dataBlocks } = image;
        const block = random() % dataBlocks;
        breakByte(path(ourData), block * dataBlockSize + (random() % dataBlockSize));
        const single = dataBlocks === 1;
        const found = await verifyVerity(path(ourData), path(ourHash), root, options);
        expect(found.bad.map(({ area, position }) => ({ area, position }))).to.deep.equal([
          { area: 'data', position: block * dataBlockSize },
        ]);
        expect(found.rootHash).to.equal(!single);
        const saw = judge();
        expect(saw.status).to.equal(single ? 1 : 2);
        expect(saw.stderr).to.contain(
          single ? 'root hash failed' : `Verification failed at position ${block * dataBlockSize}.`,
        );
        if (single) return;

        const hashBlock = image.hashEnd / hashBlockSize - 1 - (random() % image.hashBlocks);
        breakByte(path(ourHash), hashBlock * hashBlockSize + (random() % hashBlockSize));
        const broken = await verifyVerity(path(ourData), path(ourHash), root, options);
        const hashBad = broken.bad.filter(({ area }) => area === 'hash');
        expect(hashBad.map(({ block: at, position }) => [at, position])).to.deep.equal([
          [hashBlock, hashBlock * hashBlockSize],
        ]);
        expect(broken.badHashBlocks).to.equal(1);
        const below = blocksBelow(hashBad[0]!.level, image, hashBlock);
        expect(broken.unverifiableDataBlocks).to.equal(below.length);
        expect(broken.badDataBlocks).to.equal(below.includes(block) ? 0 : 1);
        expect(judge().status).to.equal(2);
      }),
    );

  it(
    'areas beyond 2 and 4 GiB of sparse files',
    inVerityFolder(async (folder) => {
      const path = (name: string) => join(folder, name);
      const size = 2 ** 31 + 3 * 4096;
      const end: [number, Buffer][] = [[size - 4096, fill(4096, 3)]];
      sparseFile(path('data'), size, end);
      const hashOffset = 5 * 2 ** 30;
      const salt = fill(32, 1);
      const args = ['--salt', salt.toString('hex'), '--uuid', uuid, '--hash-offset', `${hashOffset}`];
      expect(veritysetup(folder, ['format', 'data', 'theirs', ...args]).status).to.equal(0);
      const options = { salt, uuid, hashOffset, provider: 'library' as const };
      const { rootHash, hashEnd } = await formatVerity(path('data'), path('ours'), options);
      expect(statSync(path('ours')).size).to.equal(hashEnd);
      expect(
        veritysetup(folder, ['verify', 'data', 'ours', rootHash.toString('hex'), '--hash-offset', `${hashOffset}`])
          .status,
      ).to.equal(0);
      breakByte(path('data'), size - 1);
      const found = await verifyVerity(path('data'), path('theirs'), rootHash, { hashOffset, provider: 'library' });
      expect(found.bad.map(({ position }) => position)).to.deep.equal([size - 4096]);
    }),
  );
});

/** By definition instead of by passes: the data blocks whose way to the root goes through a hash block. */
function blocksBelow(
  level: number,
  image: { dataBlocks: number; hashBlockSize: number; rootHash: Buffer; hashEnd: number; hashBlocks: number },
  hashBlock: number,
): number[] {
  const perBlock = 2 ** Math.floor(Math.log2(image.hashBlockSize / image.rootHash.length));
  const counts: number[] = [];
  for (let left = image.dataBlocks; left > 1; ) {
    left = Math.ceil(left / perBlock);
    counts.push(left);
  }
  const start = image.hashEnd / image.hashBlockSize - image.hashBlocks;
  const above = counts.slice(level + 1).reduce((sum, each) => sum + each, 0);
  const index = hashBlock - start - above;
  const width = perBlock ** (level + 1);
  return Array.from({ length: image.dataBlocks }, (_, at) => at).filter((at) => Math.floor(at / width) === index);
}
