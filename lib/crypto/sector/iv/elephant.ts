import { Tfm, type TfmOptions } from '../../request/tfm.js';
import { shiftLeft } from '../sector-numbers.js';
import { encryptBlocks } from './essiv.js';
import { type IvMode, type Part, putLittle, viewOf } from './iv.js';

/**
 * The sector's offset in bytes, LE64, encrypted under the volume's own (first) key: a zero block through the cipher with the offset
 * as its IV. Source: drivers/md/dm-crypt.c:crypt_iv_eboiv_gen.
 */
export function eboiv(tfm: Tfm): IvMode {
  return {
    async fill({ numbers, sectorSize, engine }, ivs, ivSize) {
      const offsets = new Uint8Array(ivs.length);
      putLittle(shiftLeft(numbers, Math.log2(sectorSize)), offsets, ivSize);
      const src = new Uint8Array(ivs.length);
      await tfm.batch({ direction: 'encrypt', unitSize: ivSize, ivs: offsets, src, dst: ivs }).run(engine);
    },
  };
}

/** BitLocker's: eboiv, and a keystream and two diffusers over the plaintext. Source: drivers/md/dm-crypt.c:crypt_iv_elephant. */
export function elephant(tfm: Tfm, key: Uint8Array, options: TfmOptions): IvMode {
  const keystream = new Tfm('skcipher', 'ecb(aes)', { ...options, key });
  return {
    rewrites: 'encrypt',
    async before(part) {
      await mix(part, keystream, true);
    },
    fill: eboiv(tfm).fill,
    async after(part) {
      if (part.direction === 'decrypt') await mix(part, keystream, false);
    },
    close: () => keystream.close(),
  };
}

/** Two blocks of keystream a sector: its offset encrypted, and again with the top bit of the last byte set. */
async function mix(part: Part, tfm: Tfm, encrypt: boolean): Promise<void> {
  const { numbers, sectorSize, dst, engine } = part;
  const stream = new Uint8Array(numbers.length * 16);
  const offsets = shiftLeft(numbers, Math.log2(sectorSize));
  putLittle(offsets, stream, 32);
  putLittle(offsets, stream.subarray(16), 32);
  for (let at = 31; at < stream.length; at += 32) stream[at] = 0x80;
  await encryptBlocks(tfm, stream, engine);
  const keys = viewOf(stream);
  const data = viewOf(dst);
  const words = new Uint32Array(sectorSize / 4);
  for (let at = 0, key = 0; at < dst.length; at += sectorSize, key += 32) {
    for (let i = 0; i < words.length; i++) words[i] = data.getUint32(at + i * 4, true);
    if (!encrypt) {
      diffuse(words, diffuserB, 1);
      diffuse(words, diffuserA, 1);
    }
    for (let i = 0; i < words.length; i++) words[i]! ^= keys.getUint32(key + (i % 8) * 4, true);
    if (encrypt) {
      diffuse(words, diffuserA, -1);
      diffuse(words, diffuserB, -1);
    }
    for (let i = 0; i < words.length; i++) data.setUint32(at + i * 4, words[i]!, true);
  }
}

/** Rounds, distance of the two words that are mixed in, and the second one's rotation at each of four positions. */
interface Diffuser {
  rounds: number;
  near: number;
  far: number;
  rotate: readonly [number, number, number, number];
}
const diffuserA: Diffuser = { rounds: 5, near: -2, far: -5, rotate: [9, 0, 13, 0] };
const diffuserB: Diffuser = { rounds: 3, near: 2, far: 5, rotate: [0, 10, 0, 25] };

/** Source: drivers/md/dm-crypt.c:diffuser_a_decrypt and its like: to decrypt add (1) in order, to encrypt subtract (-1) backwards. */
function diffuse(words: Uint32Array, { rounds, near, far, rotate }: Diffuser, sign: 1 | -1): void {
  const mask = words.length - 1; // a power of two
  for (let round = 0; round < rounds; round++)
    for (let step = 0; step <= mask; step++) {
      const i = sign > 0 ? step : mask - step;
      const word = words[(i + far) & mask]!;
      const turn = rotate[i & 3]!;
      const turned = turn ? (word << turn) | (word >>> (32 - turn)) : word;
      words[i]! += sign * ((words[(i + near) & mask]! ^ turned) | 0);
    }
}
