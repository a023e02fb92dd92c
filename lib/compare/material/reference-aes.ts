/**
 * AES, encryption, and CBC with it, written from FIPS 197 alone: what outputs are checked against, so it shares nothing
 * with the kernel or with libcrypto. Not for secrets: its tables leak through the cache.
 */

const double = (x: number) => ((x << 1) ^ (x & 0x80 ? 0x11b : 0)) & 0xff;
const rotate = (x: number, bits: number) => (x << bits) | (x >>> (32 - bits));

/** FIPS 197, 5.1.1: the inverse in GF(2^8), then the affine map. 3 generates the field, and 0xf6 is its inverse. */
function makeSbox(): Uint8Array {
  const sbox = new Uint8Array(256);
  let power = 1;
  let inverse = 1;
  do {
    power ^= double(power);
    inverse ^= inverse << 1;
    inverse ^= inverse << 2;
    inverse ^= inverse << 4;
    inverse &= 0xff;
    if (inverse & 0x80) inverse ^= 0x09;
    const twice = inverse | (inverse << 8);
    sbox[power] = inverse ^ (twice >> 7) ^ (twice >> 6) ^ (twice >> 5) ^ (twice >> 4) ^ 0x63;
  } while (power !== 1);
  sbox[0] = 0x63;
  return sbox;
}

const sbox = makeSbox();

/** SubBytes and MixColumns of one byte in the first row, as a column; the other rows' are this one rotated. */
const columns = Uint32Array.from(sbox, (s) => (double(s) << 24) | (s << 16) | (s << 8) | (double(s) ^ s));

const substitute = (word: number) =>
  (sbox[word >>> 24]! << 24) |
  (sbox[(word >>> 16) & 255]! << 16) |
  (sbox[(word >>> 8) & 255]! << 8) |
  sbox[word & 255]!;

/** FIPS 197, 5.2: round keys of four words, one more than there are rounds. */
function expandKey(key: Uint8Array): Uint32Array {
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  const size = key.length / 4;
  const words = new Uint32Array(4 * (size + 7));
  for (let i = 0; i < size; i++) words[i] = view.getUint32(4 * i);
  let constant = 1;
  for (let i = size; i < words.length; i++) {
    let word = words[i - 1]!;
    if (i % size === 0) {
      word = substitute(rotate(word, 8)) ^ (constant << 24);
      constant = double(constant);
    } else if (size > 6 && i % size === 4) word = substitute(word);
    words[i] = words[i - size]! ^ word;
  }
  return words;
}

/** The block cipher, with a key of 16 or 32 bytes. */
export class ReferenceAes {
  readonly #keys: Uint32Array;

  constructor(key: Uint8Array) {
    this.#keys = expandKey(key);
  }

  /** Encrypts a block in place: four words, big-endian. */
  encrypt(state: Uint32Array): void {
    const keys = this.#keys;
    const end = keys.length - 4;
    let a = state[0]! ^ keys[0]!;
    let b = state[1]! ^ keys[1]!;
    let c = state[2]! ^ keys[2]!;
    let d = state[3]! ^ keys[3]!;
    for (let k = 4; k < end; k += 4) {
      const e = mix(a, b, c, d) ^ keys[k]!;
      const f = mix(b, c, d, a) ^ keys[k + 1]!;
      const g = mix(c, d, a, b) ^ keys[k + 2]!;
      d = mix(d, a, b, c) ^ keys[k + 3]!;
      a = e;
      b = f;
      c = g;
    }
    state[0] = last(a, b, c, d) ^ keys[end]!;
    state[1] = last(b, c, d, a) ^ keys[end + 1]!;
    state[2] = last(c, d, a, b) ^ keys[end + 2]!;
    state[3] = last(d, a, b, c) ^ keys[end + 3]!;
  }
}

/** A stream in CBC: each call goes on with the last block that the one before wrote. */
export class ReferenceCbc {
  readonly #aes: ReferenceAes;
  readonly #state = new Uint32Array(4);

  constructor(key: Uint8Array, iv: Uint8Array) {
    if (key.length !== 16 || iv.length !== 16)
      throw new RangeError(`expected a key and an IV of 16 bytes, got ${key.length} and ${iv.length}`);
    this.#aes = new ReferenceAes(key);
    const view = new DataView(iv.buffer, iv.byteOffset, 16);
    for (let i = 0; i < 4; i++) this.#state[i] = view.getUint32(4 * i);
  }

  /** Encrypts whole blocks into `dst`. */
  encrypt(src: Uint8Array, dst: Uint8Array): void {
    const from = new DataView(src.buffer, src.byteOffset, src.length);
    const to = new DataView(dst.buffer, dst.byteOffset, dst.length);
    const state = this.#state;
    for (let at = 0; at < src.length; at += 16) {
      for (let i = 0; i < 4; i++) state[i]! ^= from.getUint32(at + 4 * i);
      this.#aes.encrypt(state);
      for (let i = 0; i < 4; i++) to.setUint32(at + 4 * i, state[i]!);
    }
  }
}

/** A column of the next state from those that ShiftRows brings together. */
function mix(a: number, b: number, c: number, d: number): number {
  return (
    columns[a >>> 24]! ^
    rotate(columns[(b >>> 16) & 255]!, 24) ^
    rotate(columns[(c >>> 8) & 255]!, 16) ^
    rotate(columns[d & 255]!, 8)
  );
}

/** The same in the last round, which has no MixColumns. */
function last(a: number, b: number, c: number, d: number): number {
  return (sbox[a >>> 24]! << 24) | (sbox[(b >>> 16) & 255]! << 16) | (sbox[(c >>> 8) & 255]! << 8) | sbox[d & 255]!;
}
