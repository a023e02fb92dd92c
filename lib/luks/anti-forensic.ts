import { hash as hashOnce, randomFillSync } from 'node:crypto';
import { allocateSecret } from '../base/secret.js';
import { requireHash } from './pbkdf.js';

/**
 * The anti-forensic splitter: a key becomes `stripes` times its size, and any lost part of that loses the key.
 * Source: LUKS On-Disk Format Specification 1.2.3, section 2.4; the diffusion hashes each digest-sized piece with its big-endian number before it.
 */
export function splitKey(key: Uint8Array, stripes: number, hash: string): Buffer {
  const material = allocateSecret(key.length * stripes);
  randomFillSync(material, 0, material.length - key.length);
  const last = gatherStripes(material, key.length, stripes, hash);
  for (let i = 0; i < key.length; i++) material[material.length - key.length + i] = last[i]! ^ key[i]!;
  last.fill(0);
  return material;
}

/** The key in `material`, for the caller to wipe. */
export function mergeKey(material: Uint8Array, keySize: number, stripes: number, hash: string): Buffer {
  const key = gatherStripes(material, keySize, stripes, hash);
  const from = keySize * (stripes - 1);
  for (let i = 0; i < keySize; i++) key[i]! ^= material[from + i]!;
  return key;
}

/** What all stripes but the last one amount to. */
function gatherStripes(material: Uint8Array, keySize: number, stripes: number, hash: string): Buffer {
  const block = allocateSecret(keySize);
  const diffuse = diffusion(requireHash(hash), keySize);
  for (let stripe = 0; stripe < stripes - 1; stripe++) {
    const from = stripe * keySize;
    for (let i = 0; i < keySize; i++) block[i]! ^= material[from + i]!;
    diffuse(block);
  }
  return block;
}

function diffusion(hash: string, size: number): (block: Buffer) => void {
  const digestSize = hashOnce(hash, '', 'buffer').length;
  const input = allocateSecret(4 + digestSize);
  return (block) => {
    for (let from = 0, number = 0; from < size; from += digestSize, number++) {
      const length = Math.min(digestSize, size - from);
      input.writeUInt32BE(number);
      block.copy(input, 4, from, from + length);
      const digest = hashOnce(hash, input.subarray(0, 4 + length), 'buffer');
      digest.copy(block, from, 0, length);
      digest.fill(0);
    }
    input.fill(0);
  };
}
