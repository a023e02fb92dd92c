import { wrongSize, wrongType } from '../../base/bytes.js';
import type { Tfm } from '../request/tfm.js';

/**
 * The IV as the kernel takes it, as a copy of its own; null for a cipher without. The CCM of RFC 3610 is given its nonce of
 * 7 to 13 bytes, as node:crypto takes it, or the kernel's 16 bytes: L - 1, the nonce, and L zeros (crypto/ccm.c).
 * @throws TypeError, RangeError naming the size it should have
 */
export function kernelIv(tfm: Tfm, iv: Uint8Array | null): Uint8Array | null {
  const { ivSize, algorithm } = tfm.info;
  const given = iv?.length ?? 0;
  if (iv && isCcm(algorithm)) return ccmIv(tfm, iv);
  if (ivSize !== undefined && given !== ivSize) {
    if (!iv) throw wrongType('iv', `${ivSize} bytes for ${tfm.name}`, iv);
    throw wrongSize('iv', ivSize ? `${ivSize} bytes for ${tfm.name}` : `null for ${tfm.name}, which has none`, given);
  }
  return given ? Uint8Array.from(iv!) : null;
}

/** The most bytes of text that the message with this IV may have: CCM has them in L bytes (RFC 3610, 2.2). */
export function longestText(tfm: Tfm, iv: Uint8Array | null): number {
  return iv && isCcm(tfm.info.algorithm) ? 2 ** (8 * (iv[0]! + 1)) - 1 : Number.POSITIVE_INFINITY;
}

function isCcm(algorithm: string): boolean {
  return /^ccm(_base)?\(/.test(algorithm);
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
