import { createCipheriv } from 'node:crypto';
import { fill } from '../material/fill.js';
import { aesCipher, keyOf, requestBytes } from './arms.js';

/** Bytes of the disk, and requests that it has room for. */
export const diskBytes = 4 << 20;
export const diskBlocks = diskBytes / requestBytes;

/** What a disk holds: in the clear, and as dm-crypt keeps it by the word of node:crypto, not of this program. */
export interface DiskImage {
  plain: Buffer;
  below: Buffer;
}

export function diskImage(cipher: string, seed: number): DiskImage {
  const plain = fill(Buffer.alloc(diskBytes), seed) as Buffer;
  return { plain, below: encipher(cipher, plain) };
}

/** Sectors of 512 bytes, each with its number as the IV (plain64). The null cipher leaves all as it is. */
function encipher(cipher: string, plain: Buffer): Buffer {
  if (cipher !== aesCipher) return plain;
  const below = Buffer.alloc(plain.length);
  const key = Buffer.from(keyOf(cipher), 'hex');
  const iv = Buffer.alloc(16);
  for (let at = 0; at < plain.length; at += 512) {
    iv.writeUInt32LE(at / 512, 0);
    createCipheriv('aes-256-xts', key, iv)
      .update(plain.subarray(at, at + 512))
      .copy(below, at);
  }
  return below;
}

/** Whether a block is the same in both. */
export function sameBlock(block: number, a: Buffer, b: Buffer): boolean {
  const at = block * requestBytes;
  return a.compare(b, at, at + requestBytes, at, at + requestBytes) === 0;
}
