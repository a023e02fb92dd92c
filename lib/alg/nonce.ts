import { wrongSize, wrongType } from './bytes.js';
import type { Tfm } from './tfm.js';

/**
 * The IV as the kernel takes it, as a copy of its own; null for a cipher without. The CCM of RFC 3610 is given its nonce of
 * 7 to 13 bytes, as node:crypto takes it, or the kernel's 16 bytes: L - 1, the nonce, and L zeros (crypto/ccm.c).
 * @throws TypeError, RangeError naming the size it should have
 */
export function kernelIv(tfm: Tfm, iv: Uint8Array | null): Uint8Array | null {
  const { ivSize, algorithm } = tfm.info;
  const given = iv?.length ?? 0;
  if (iv && /^ccm(_base)?\(/.test(algorithm)) return ccmIv(tfm, iv);
  if (ivSize !== undefined && given !== ivSize) {
    if (!iv) throw wrongType('iv', `${ivSize} bytes for ${tfm.name}`, iv);
    throw wrongSize('iv', ivSize ? `${ivSize} bytes for ${tfm.name}` : `null for ${tfm.name}, which has none`, given);
  }
  return given ? Uint8Array.from(iv!) : null;
}

function ccmIv(tfm: Tfm, iv: Uint8Array): Uint8Array {
  const full = new Uint8Array(16);
  if (iv.length === full.length) {
    full.set(iv);
    return full;
  }
  if (iv.length < 7 || iv.length > 13)
    throw wrongSize('iv', `a nonce of 7 to 13 bytes for ${tfm.name}, or the kernel's 16`, iv.length);
  full[0] = 14 - iv.length;
  full.set(iv, 1);
  return full;
}
