import { ReferenceAes } from './reference-aes.js';

const swap = (x: number) => (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24);

/** AES in XTS, encryption of whole blocks, written from IEEE 1619 alone: see reference-aes.ts. */
export class ReferenceXts {
  readonly #data: ReferenceAes;
  readonly #tweak: ReferenceAes;
  readonly #state = new Uint32Array(4);
  readonly #factor = new Uint32Array(4);

  /** `key`: that of the data, then that of the tweak. */
  constructor(key: Uint8Array) {
    const half = key.length / 2;
    if (half !== 16 && half !== 32) throw new RangeError(`expected a key of 32 or 64 bytes, got ${key.length}`);
    this.#data = new ReferenceAes(key.subarray(0, half));
    this.#tweak = new ReferenceAes(key.subarray(half));
  }

  /** Encrypts a data unit under its IV of 16 bytes into `dst`. */
  encrypt(iv: Uint8Array, src: Uint8Array, dst: Uint8Array): void {
    const from = new DataView(src.buffer, src.byteOffset, src.length);
    const to = new DataView(dst.buffer, dst.byteOffset, dst.length);
    const first = new DataView(iv.buffer, iv.byteOffset, 16);
    const state = this.#state;
    const factor = this.#factor;
    for (let i = 0; i < 4; i++) factor[i] = first.getUint32(4 * i);
    this.#tweak.encrypt(factor);
    for (let at = 0; at < src.length; at += 16) {
      for (let i = 0; i < 4; i++) state[i] = from.getUint32(at + 4 * i) ^ factor[i]!;
      this.#data.encrypt(state);
      for (let i = 0; i < 4; i++) to.setUint32(at + 4 * i, state[i]! ^ factor[i]!);
      multiply(factor);
    }
  }
}

/** Times x in GF(2^128), whose polynomial is x^128 + x^7 + x^2 + x + 1; the first byte has the lowest powers. */
function multiply(factor: Uint32Array): void {
  let carry = 0;
  for (let i = 0; i < 4; i++) {
    const word = swap(factor[i]!);
    factor[i] = swap((word << 1) | carry);
    carry = word >>> 31;
  }
  if (carry) factor[0]! ^= 0x87000000;
}
