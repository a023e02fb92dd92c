import { copySecret } from '../../../base/secret.js';
import { type IvMode, type Part, viewOf } from './iv.js';

/** CRC-32 (reflected 0x04c11db7), table of one byte. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** crc32_le(0, word): no inversion before or after (crypto/crc32_generic.c). */
function crcOfWord(word: number): number {
  let crc = word;
  for (let byte = 0; byte < 4; byte++) crc = table[crc & 0xff]! ^ (crc >>> 8);
  return crc;
}

/**
 * TrueCrypt's old volumes: the IV is a seed xor the sector, and the ciphertext is whitened. 512-byte sectors. `extra` is the end of the
 * key: IV seed, 16 bytes of whitening. Source: drivers/md/dm-crypt.c:crypt_iv_tcw_gen, crypt_iv_tcw_whitening.
 */
export function tcw(extra: Uint8Array): IvMode {
  const own = copySecret(extra);
  const seedSize = own.length - 16;
  const secret = viewOf(own);
  const whiten = ({ numbers, sectorSize, dst }: Part) => {
    const view = viewOf(dst);
    const crc = (index: number, i: number) =>
      crcOfWord((secret.getUint32(seedSize + i * 4, true) ^ numbers[index * 2 + (i & 1)]!) >>> 0);
    for (let index = 0, at = 0; at < dst.length; index++) {
      const even = crc(index, 0) ^ crc(index, 3);
      const odd = crc(index, 1) ^ crc(index, 2);
      for (const end = at + sectorSize; at < end; at += 8) {
        view.setUint32(at, view.getUint32(at, true) ^ even, true);
        view.setUint32(at + 4, view.getUint32(at + 4, true) ^ odd, true);
      }
    }
  };
  return {
    rewrites: 'decrypt',
    before: whiten,
    fill({ numbers }, ivs, ivSize) {
      const view = viewOf(ivs);
      for (let i = 0, at = 0; i < numbers.length; i += 2, at += ivSize)
        for (let byte = 0; byte < ivSize; byte += 4)
          view.setUint32(at + byte, secret.getUint32(byte, true) ^ numbers[i + ((byte >> 2) & 1)]!, true);
    },
    after(part) {
      if (part.direction === 'encrypt') whiten(part);
    },
    close: () => void own.fill(0),
  };
}
