import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { CryptConvert } from '../../lib/crypto/sector/convert.js';
import { plain64 } from '../../lib/crypto/sector/iv/plain.js';
import { Tfm } from '../../lib/index.js';
import { findCorpus } from './corpus.js';
import { provider, requireAlgorithm, sample, skip } from './provider.js';
import { parseResponseFile, type Vector } from './response-file.js';

const block = 16;

function read(vector: Vector) {
  return {
    key: vector.bytes('Key'),
    sector: vector.number('DataUnitSeqNumber'),
    texts: { encrypt: [vector.bytes('PT'), vector.bytes('CT')], decrypt: [vector.bytes('CT'), vector.bytes('PT')] },
  };
}

/**
 * A data unit of NIST's is shorter than a sector. Its blocks, where they are whole, are what the first blocks of a sector with that
 * number are: in XTS a block depends on nothing beside it (IEEE 1619, 5.3).
 */
async function atTheStart(vector: Vector, geometry: { sectorSize: number; ivLargeSectors: boolean }): Promise<void> {
  const { key, sector, texts } = read(vector);
  const step = geometry.ivLargeSectors ? geometry.sectorSize / 512 : 1;
  using convert = new CryptConvert({ cipher: 'aes-xts-plain64', key, provider, ...geometry });
  for (const [direction, [from, to]] of Object.entries(texts) as ['encrypt', [Buffer, Buffer]][]) {
    const bytes = Buffer.alloc(geometry.sectorSize, 0xa5);
    bytes.set(from);
    await convert.convert(direction, sector * step, bytes, bytes);
    expect(bytes.subarray(0, to.length).toString('hex'), direction).to.equal(to.toString('hex'));
  }
}

/** One that ends within a block is the whole unit: the last two blocks share their bytes. plain64 makes the IV of it. */
async function asUnit(vector: Vector): Promise<void> {
  const { key, sector, texts } = read(vector);
  using tfm = new Tfm('skcipher', 'xts(aes)', { key, provider });
  for (const [direction, [src, to]] of Object.entries(texts) as ['encrypt', [Buffer, Buffer]][]) {
    const ivs = new Uint8Array(block);
    const dst = Buffer.alloc(src.length);
    const part = {
      direction,
      key: 0,
      numbers: Uint32Array.of(sector, 0),
      sectorSize: src.length,
      src,
      dst,
      engine: tfm.engine,
    };
    await plain64.fill(part, ivs, block);
    await tfm.batch({ direction, unitSize: src.length, ivs, src, dst }).run();
    expect(dst.toString('hex'), direction).to.equal(to.toString('hex'));
  }
}

const whole = (vector: Vector) => vector.number('DataUnitLen') % (block * 8) === 0;
const rows: [string, string, number, (vector: Vector) => boolean, (vector: Vector) => Promise<void>][] = [];
for (const size of ['128', '256']) {
  for (const [title, geometry] of [
    ['of 512 bytes', { sectorSize: 512, ivLargeSectors: false }],
    ['of 4096 bytes, iv_large_sectors', { sectorSize: 4096, ivLargeSectors: true }],
  ] as const)
    rows.push([
      size,
      `whole blocks at the start of a sector ${title}`,
      600,
      whole,
      (each) => atTheStart(each, geometry),
    ]);
}
// The lengths of AES-256's are whole blocks, or no whole bytes.
rows.push([
  '128',
  'stolen blocks: a batch with the IV of plain64, no sector',
  200,
  (each) => !whole(each) && each.number('DataUnitLen') % 8 === 0,
  asUnit,
]);

describe(`vectors of XTS data units as sectors of aes-xts-plain64 on the ${provider}`, function () {
  this.timeout(600_000);
  let corpus: Awaited<ReturnType<typeof findCorpus>>;
  before(async () => {
    corpus = await findCorpus();
  });

  for (const [size, title, count, keep, check] of rows)
    it(`AES-${size}, ${title}`, async function () {
      if ('reason' in corpus) skip(this, corpus.reason);
      requireAlgorithm(this, 'skcipher', 'xts(aes)');
      const path = join(corpus.folder, `ciphers/AES/XTS/tweak-dataunitseqno/XTSGenAES${size}.rsp`);
      const vectors = parseResponseFile(readFileSync(path, 'latin1'), 'CT').filter(keep);
      expect(vectors).to.have.length(count);
      for (const vector of sample(vectors))
        await check(vector).catch((error: Error) => {
          throw new Error(`${vector}: ${error.message}`, { cause: error });
        });
    });
});
