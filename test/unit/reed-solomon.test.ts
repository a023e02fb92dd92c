import { expect } from 'chai';
import { SyncEngine } from '../../lib/crypto/engine/engine.js';
import { Parity, ReedSolomon, wordSize } from '../../lib/verity/fec/reed-solomon.js';
import { seeded } from '../support/manual-engine.js';

const columns = 40;

interface Words {
  message: Buffer;
  parity: Buffer;
}

async function words(code: ReedSolomon, rows: number, random: () => number): Promise<Words> {
  const message = Buffer.alloc(code.messageSize * columns);
  for (let at = 0; at < rows * columns; at++) message[at] = random() * 256;
  return { message, parity: await encode(code, message) };
}

async function encode(code: ReedSolomon, message: Buffer): Promise<Buffer> {
  const parity = new Parity(code, columns, columns);
  await parity.add(0, message);
  const bytes = Buffer.alloc(code.roots * columns);
  parity.read(0, bytes);
  parity.close();
  return bytes;
}

/** Some of 0..n-1, each once. */
function pick(from: readonly number[], count: number, random: () => number): number[] {
  const left = [...from];
  return Array.from({ length: count }, () => left.splice(Math.floor(random() * left.length), 1)[0]!);
}

function spoil(code: ReedSolomon, { message, parity }: Words, column: number, symbols: number[], random: () => number) {
  for (const symbol of symbols) {
    const value = 1 + Math.floor(random() * 255);
    const at = symbol - code.messageSize;
    if (at < 0) message[symbol * columns + column]! ^= value;
    else parity[column * code.roots + at]! ^= value;
  }
}

describe('Reed-Solomon', function () {
  this.timeout(600_000);
  for (const engine of [undefined, new SyncEngine()])
    for (const roots of [2, 3, 8, 23, 24])
      it(`corrects all that it can, ${roots} roots, ${engine ? 'this thread' : 'lanes'}`, async () => {
        const code = new ReedSolomon(roots, engine);
        const random = seeded(roots);
        for (let erasures = 0; erasures <= roots; erasures++) {
          const rows = 1 + Math.floor(random() * code.messageSize);
          const right = await words(code, rows, random);
          const spoiled = { message: Buffer.from(right.message), parity: Buffer.from(right.parity) };
          const symbols = [...Array(rows).keys(), ...Array.from({ length: roots }, (_, at) => code.messageSize + at)];
          const erased = pick(symbols, erasures, random);
          const others = symbols.filter((symbol) => !erased.includes(symbol));
          const errors = Math.min(others.length, Math.floor((roots - erasures) / 2));
          for (let column = 0; column < columns; column++)
            spoil(code, spoiled, column, [...erased, ...pick(others, errors, random)], random);
          const { status, failed, changed } = await code.decode(spoiled.message, spoiled.parity, rows, erased);
          expect(failed).to.equal(0);
          expect([...status]).to.deep.equal(Array(columns).fill(erasures + errors));
          expect(changed.reduce((sum, each) => sum + each)).to.equal(columns * (erasures + errors));
          expect(spoiled).to.deep.equal(right);
        }
      });

  it('gives a codeword, or leaves the word as it is and says so, beyond that', async () => {
    for (const roots of [2, 5, 24]) {
      const code = new ReedSolomon(roots);
      const random = seeded(100 + roots);
      let refused = 0;
      for (let round = 0; round < 20; round++) {
        const spoiled = await words(code, code.messageSize, random);
        const symbols = [...Array(wordSize).keys()];
        for (let column = 0; column < columns; column++)
          spoil(code, spoiled, column, pick(symbols, Math.floor(roots / 2) + 1, random), random);
        const before = Buffer.from(spoiled.message);
        const { status } = await code.decode(spoiled.message, spoiled.parity, code.messageSize, []);
        const parity = await encode(code, spoiled.message);
        for (const [column, corrected] of status.entries()) {
          if (corrected >= 0) {
            const [from, to] = [column * roots, (column + 1) * roots];
            expect(spoiled.parity.compare(parity, from, to, from, to), 'is a codeword').to.equal(0);
            continue;
          }
          refused++;
          for (let row = 0; row < code.messageSize; row++)
            expect(spoiled.message[row * columns + column]).to.equal(before[row * columns + column]);
        }
      }
      expect(refused).to.be.greaterThan(0);
    }
  });

  it('corrects no more errors than the code tells apart, of words that are nothing but noise', async () => {
    const wide = 1500;
    for (const roots of [2, 3, 4, 6, 9]) {
      const code = new ReedSolomon(roots);
      const random = seeded(200 + roots);
      const noise = (size: number) => Buffer.from(Array.from({ length: size }, () => random() * 256));
      let corrected = 0;
      for (let erasures = 0; erasures <= roots; erasures++) {
        const [message, parity] = [noise(code.messageSize * wide), noise(roots * wide)];
        const before = { message: Buffer.from(message), parity: Buffer.from(parity) };
        const erased = pick([...Array(wordSize).keys()], erasures, random);
        const { status } = await code.decode(message, parity, code.messageSize, erased);
        const again = await code.decode(Buffer.from(message), Buffer.from(parity), code.messageSize, []);
        for (const [column, count] of status.entries()) {
          const changed = [...Array(wordSize).keys()].filter((symbol) => {
            const at = symbol - code.messageSize;
            return at < 0
              ? message[symbol * wide + column] !== before.message[symbol * wide + column]
              : parity[column * roots + at] !== before.parity[column * roots + at];
          });
          expect(changed.length).to.equal(Math.max(0, count));
          if (count < 0) continue;
          corrected++;
          expect(again.status[column], 'is a codeword').to.equal(0);
          const errors = changed.filter((symbol) => !erased.includes(symbol)).length;
          expect(2 * errors + erasures, 'errors and erasures').to.be.at.most(roots);
        }
      }
      expect(corrected).to.be.greaterThan(0);
    }
  });

  it('finds no error where a shortened word has no symbol', async () => {
    const code = new ReedSolomon(2);
    const spoiled = await words(code, 3, seeded(5));
    spoiled.message[200 * columns] = 7; // beyond the three rows, as a decoder that does not know of them would set it
    const zero = Buffer.alloc(code.messageSize * columns);
    spoiled.message.copy(zero, 0, 0, 3 * columns);
    const parity = await encode(code, spoiled.message);
    const { status } = await code.decode(zero, parity, 3, []);
    expect(status[0]).to.equal(-1);
    expect([...status.subarray(1)]).to.deep.equal(Array(columns - 1).fill(0));
  });

  it('makes the same parity of long vectors, of short ones, and of windows', async () => {
    const code = new ReedSolomon(5);
    const random = seeded(9);
    const codewords = 777;
    const message = Buffer.from(Array.from({ length: codewords * 20 }, () => random() * 256));
    const whole = new Parity(code, codewords, codewords);
    await whole.add(0, message);
    const expected = Buffer.alloc(codewords * 5);
    whole.read(0, expected);
    for (const columns of [1, 63, 64, 100, 777])
      for (const piece of [1000, 64, 13]) {
        const window = new Parity(code, codewords, columns);
        const found = Buffer.alloc(codewords * 5);
        for (let first = 0; first < codewords; first += 300) {
          window.reset(first);
          for (let at = 0; at < message.length; at += piece) await window.add(at, message.subarray(at, at + piece));
          const count = Math.min(columns, codewords - first);
          window.read(0, found.subarray(first * 5, (first + count) * 5));
          const [from, to] = [first * 5, (first + count) * 5];
          expect(found.compare(expected, from, to, from, to)).to.equal(0);
        }
        window.close();
      }
  });

  it('refuses what would not fit', async () => {
    const code = new ReedSolomon(4);
    expect(() => new ReedSolomon(1)).to.throw(RangeError, 'roots');
    expect(() => new ReedSolomon(25)).to.throw(RangeError, 'roots');
    const { message, parity } = await words(code, 251, seeded(1));
    const refused = async (...args: Parameters<ReedSolomon['decode']>) =>
      code.decode(...args).then(
        () => 'taken',
        (error: Error) => error.name,
      );
    expect(await refused(message.subarray(1), parity, 251, [])).to.equal('RangeError');
    expect(await refused(message, parity.subarray(1), 251, [])).to.equal('RangeError');
    expect(await refused(message, parity, 252, [])).to.equal('RangeError');
    expect(await refused(message, parity, 251, [0, 1, 2, 3, 4])).to.equal('RangeError');
    expect(await refused(message, parity, 251, [255])).to.equal('RangeError');
    const window = new Parity(code, 10, 10);
    let added = '';
    await window.add(10 * 251 - 1, Buffer.alloc(2)).catch((error) => (added = error.code));
    expect(added).to.equal('EINVAL');
    expect(() => window.read(9, Buffer.alloc(8))).to.throw('EINVAL');
    expect(() => window.reset(10)).to.throw('EINVAL');
    window.close();
    expect(() => window.reset(0)).to.throw('EBADF');
  });
});
