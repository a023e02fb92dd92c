import { expect } from 'chai';
import { binding } from '../../lib/base/binding.js';
import { ReedSolomon } from '../../lib/verity/fec/reed-solomon.js';
import { randomBytes } from '../support/random-bytes.js';

const paths = binding().galois_paths();
const portable = paths.length - 1;

function accumulate(path: number, factors: Uint8Array, src: Uint8Array, dst: Uint8Array): Buffer {
  const sum = Buffer.from(dst);
  expect(binding().galois_accumulate(path, factors, src, sum)).to.equal(0);
  return sum;
}

/** Multiplication as the field defines it: shifts, and the polynomial 0x11d. */
function product(a: number, b: number): number {
  let sum = 0;
  for (let bit = 0; bit < 8; bit++) {
    if ((b >> bit) & 1) sum ^= a;
    a = (a << 1) ^ (a & 0x80 ? 0x11d : 0);
  }
  return sum;
}

describe('arithmetic of GF(2^8)', () => {
  it('there is a portable path, the last one, and a vector path before it', () => {
    expect(paths.at(-1)).to.equal('portable');
    if (process.arch === 'x64' || process.arch === 'arm64') expect(paths).to.have.length.above(1);
  });

  for (const [path, name] of paths.entries()) {
    it(`${name}: every pair of bytes`, () => {
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      for (let factor = 0; factor < 256; factor++) {
        const expected = Buffer.from([...bytes].map((byte) => product(byte, factor)));
        expect(accumulate(path, Buffer.of(factor), bytes, Buffer.alloc(256)).equals(expected), `${factor}`).to.equal(
          true,
        );
      }
    });

    it(`${name}: every length to 600, every misalignment, 1 to 24 rows, nothing beyond the end`, () => {
      const source = randomBytes('galois source', 1024);
      const before = randomBytes('galois sums', 24 * 1024);
      for (let size = 0; size <= 600; size++) {
        const rows = 1 + (size % 24);
        const factors = randomBytes(`galois factors ${size}`, rows);
        const src = source.subarray(size % 67, (size % 67) + size);
        const at = size % 61;
        const memory = Buffer.from(before);
        const sum = memory.subarray(at, at + rows * size);
        expect(binding().galois_accumulate(path, factors, src, sum)).to.equal(0);
        const expected = accumulate(portable, factors, src, before.subarray(at, at + rows * size));
        expect(sum.equals(expected), `${size}`).to.equal(true);
        expect(memory.subarray(0, at).equals(before.subarray(0, at))).to.equal(true);
        expect(memory.subarray(at + rows * size).equals(before.subarray(at + rows * size))).to.equal(true);
      }
    });

    it(`${name}: codes of 2 to 24 roots pass the check at their opening`, () => {
      for (let roots = 2; roots <= 24; roots++) expect(new ReedSolomon(roots, undefined, path).roots).to.equal(roots);
    });
  }

  it('native refuses sizes that do not fit', () => {
    const call = (path: number, factors: number, src: number, dst: number) =>
      binding().galois_accumulate(path, Buffer.alloc(factors), Buffer.alloc(src), Buffer.alloc(dst));
    expect(call(paths.length, 1, 8, 8)).to.equal(-22);
    expect(call(0, 25, 8, 200)).to.equal(-22);
    expect(call(0, 2, 8, 15)).to.equal(-22);
    expect(binding().rs_open(2, paths.length)).to.equal(-22);
  });

  it('a processor that computes another code is refused, by name', () => {
    const native = binding();
    const open = native.rs_open;
    native.rs_open = () => -80;
    try {
      expect(() => new ReedSolomon(2)).to.throw(/ELIBBAD.*self-check/);
    } finally {
      native.rs_open = open;
    }
  });
});
