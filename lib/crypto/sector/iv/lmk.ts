import { allocateSecret } from '../../../base/secret.js';
import { md5Block, md5Init } from '../md5.js';
import { type IvMode, type Part, viewOf } from './iv.js';

/**
 * Loop-AES's multi-key: the IV is the MD5 state over the sector's plaintext but its first block, and the sector's number. 512-byte
 * sectors. `seed`: of version 3, 16 bytes; else empty. Source: drivers/md/dm-crypt.c:crypt_iv_lmk_one.
 */
export function lmk(seed: Uint8Array): IvMode {
  const start = new Int32Array(new ArrayBuffer(16)); // what it becomes is a secret: see allocateSecret
  start.set(md5Init);
  if (seed.length) {
    const padded = allocateSecret(64);
    padded.set(seed.subarray(0, 16));
    md5Block(start, viewOf(padded), 0);
    padded.fill(0);
  }
  const state = new Int32Array(4);
  const tail = new Uint8Array(64);
  /** Leaves the IV of sector `index` of `data` in `state`. */
  const compute = ({ numbers, sectorSize }: Part, data: Uint8Array, index: number) => {
    state.set(start);
    const at = index * sectorSize;
    const view = viewOf(data);
    for (let block = 16; block < 464; block += 64) md5Block(state, view, at + block);
    tail.set(data.subarray(at + 464, at + 512));
    const end = viewOf(tail);
    end.setUint32(48, numbers[index * 2]!, true);
    end.setUint32(52, (numbers[index * 2 + 1]! & 0xffffff) | 0x80000000, true);
    end.setUint32(56, 4024, true);
    md5Block(state, end, 0);
    tail.fill(0);
  };
  return {
    // Reading starts from an IV of zeroes; `after` puts the first block right.
    fill(part, ivs, ivSize) {
      if (part.direction === 'decrypt') return;
      const view = viewOf(ivs);
      for (let index = 0; index * ivSize < ivs.length; index++) {
        compute(part, part.src, index);
        for (let i = 0; i < ivSize / 4; i++) view.setInt32(index * ivSize + i * 4, state[i]!, true);
      }
    },
    after(part, ivs) {
      if (part.direction === 'encrypt') return;
      const view = viewOf(part.dst);
      const count = part.dst.length / part.sectorSize;
      const words = ivs.length / count / 4;
      for (let index = 0; index < count; index++) {
        compute(part, part.dst, index);
        const at = index * part.sectorSize;
        for (let i = 0; i < words; i++) view.setInt32(at + i * 4, view.getInt32(at + i * 4, true) ^ state[i]!, true);
      }
    },
    close: () => void start.fill(0),
  };
}
