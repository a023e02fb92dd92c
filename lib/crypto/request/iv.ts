/** Direction of a cipher request; what AF_ALG calls the operation. */
export type Direction = 'encrypt' | 'decrypt';

/**
 * How a cipher's IV goes on from one request to the next of the same stream: what the kernel's modes leave in req->iv.
 */
export interface IvRule {
  /** Bytes that every request of a stream but the last must be a multiple of, for an IV of this size. */
  granularity(ivSize: number): number;
  /** Whether the next IV is known before the request has run. */
  known(direction: Direction): boolean;
  /** Writes the next IV into `next` (may be the same bytes as `iv`). Needs `dst` only where not `known`. */
  advance(direction: Direction, iv: Uint8Array, src: Uint8Array, dst: Uint8Array, next: Uint8Array): void;
}

/** The last ciphertext block: crypto/cbc.c, crypto/cfb.c. */
const lastBlock: IvRule = {
  granularity: (ivSize) => ivSize,
  known: (direction) => direction === 'decrypt',
  advance(direction, _iv, src, dst, next) {
    const ciphertext = direction === 'encrypt' ? dst : src;
    next.set(ciphertext.subarray(ciphertext.length - next.length));
  },
};

/** The last block of the keystream, which is what input and output differ by: crypto/ofb.c. */
const lastKeystream: IvRule = {
  granularity: (ivSize) => ivSize,
  known: () => false,
  advance(_direction, _iv, src, dst, next) {
    const from = src.length - next.length;
    for (let i = 0; i < next.length; i++) next[i] = src[from + i]! ^ dst[from + i]!;
  },
};

/** A big-endian counter as wide as the IV, one step a block: crypto/ctr.c, crypto_inc. */
const counter: IvRule = {
  granularity: (ivSize) => ivSize,
  known: () => true,
  advance(_direction, iv, src, _dst, next) {
    let carry = Math.ceil(src.length / iv.length);
    for (let i = iv.length - 1; i >= 0; i--) {
      const sum = iv[i]! + (carry % 256);
      next[i] = sum;
      carry = Math.floor(carry / 256) + (sum >> 8);
    }
  },
};

/** A little-endian 32-bit block counter in front of the nonce: lib/crypto/chacha.c; 64-byte blocks. */
const chacha: IvRule = {
  granularity: () => 64,
  known: () => true,
  advance(_direction, iv, src, _dst, next) {
    next.set(iv);
    const view = new DataView(next.buffer, next.byteOffset, next.length);
    view.setUint32(0, (view.getUint32(0, true) + Math.ceil(src.length / 64)) % 2 ** 32, true);
  },
};

/** The rule of an algorithm by its kernel name (not its driver's), or undefined: xts and the like chain nothing. */
export function ivRule(algorithm: string): IvRule | undefined {
  const mode = /^(\w+)\(\w+\)$/.exec(algorithm)?.[1];
  if (mode === 'cbc' || mode === 'cfb') return lastBlock;
  if (mode === 'ofb') return lastKeystream;
  if (mode === 'ctr') return counter;
  return algorithm === 'chacha20' ? chacha : undefined;
}
