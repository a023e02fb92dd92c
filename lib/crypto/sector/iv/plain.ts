import { shiftLeft } from '../sector-numbers.js';
import { type IvMode, putLittle, viewOf } from './iv.js';

/** LE32 of the sector, cut to 32 bits. Source: drivers/md/dm-crypt.c:crypt_iv_plain_gen. */
export const plain: IvMode = {
  fill({ numbers }, ivs, ivSize) {
    const view = viewOf(ivs);
    for (let i = 0, at = 0; i < numbers.length; i += 2, at += ivSize) view.setUint32(at, numbers[i]!, true);
  },
};

/** LE64 of the sector. Source: drivers/md/dm-crypt.c:crypt_iv_plain64_gen. */
export const plain64: IvMode = {
  fill: ({ numbers }, ivs, ivSize) => putLittle(numbers, ivs, ivSize),
};

/** BE64 of the sector in the IV's last bytes. Source: drivers/md/dm-crypt.c:crypt_iv_plain64be_gen. */
export const plain64be: IvMode = {
  fill: ({ numbers }, ivs, ivSize) => putBig(numbers, ivs, ivSize),
};

/** Zeroes. Source: drivers/md/dm-crypt.c:crypt_iv_null_gen. */
export const nullIv: IvMode = { fill() {} };

/**
 * BE64 of the number, from 1, of the sector's first cipher block. Source: drivers/md/dm-crypt.c:crypt_iv_benbi_gen.
 * `blockSize` in bytes, a power of two up to 256.
 */
export function benbi(blockSize: number): IvMode {
  const shift = 9 - Math.log2(blockSize);
  return {
    fill({ numbers }, ivs, ivSize) {
      const blocks = shiftLeft(numbers, shift);
      // The low bits are zero: adding 1 carries nothing.
      for (let i = 0; i < blocks.length; i += 2) blocks[i]!++;
      putBig(blocks, ivs, ivSize);
    },
  };
}

function putBig(numbers: Uint32Array, ivs: Uint8Array, ivSize: number): void {
  const view = viewOf(ivs);
  for (let i = 0, at = ivSize - 8; i < numbers.length; i += 2, at += ivSize) {
    view.setUint32(at, numbers[i + 1]!, false);
    view.setUint32(at + 4, numbers[i]!, false);
  }
}
