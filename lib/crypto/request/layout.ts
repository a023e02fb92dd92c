import { byteOffsetOf, overlap, rangeError, wrongSize } from '../../base/bytes.js';
import type { Direction } from './iv.js';
import type { Tfm } from './tfm.js';

/**
 * Bytes that dst must have, or undefined where only the kernel knows. The layout of a request, by type:
 * skcipher: src -> dst of the same length. aead: src is the associated data, the text, and for decryption the tag; dst the
 * associated data (copied through), the text, and for encryption the tag (crypto/algif_aead.c). hash: src is the whole
 * message, dst the digest. rng: dst only.
 * @throws RangeError when src is too short for what it has to hold
 */
export function resultLength(tfm: Tfm, direction: Direction, src: number, assoc: number): number | undefined {
  if (tfm.type === 'skcipher') return src;
  if (tfm.type === 'hash') return tfm.info.digestSize;
  if (tfm.type === 'rng') return undefined;
  const encrypt = direction === 'encrypt';
  const least = assoc + (encrypt ? 0 : tfm.authSize);
  if (src < least) throw wrongSize('src', `at least ${least} bytes`, src);
  return src + (encrypt ? tfm.authSize : -tfm.authSize);
}

/**
 * In place is fine; shifted against each other is not, as output would overwrite input not read yet. @throws RangeError
 */
export function checkApart(src: Uint8Array, dst: Uint8Array): void {
  if (overlap(src, dst) && byteOffsetOf(src) !== byteOffsetOf(dst))
    throw rangeError('dst: expected the bytes of src or others, got some that overlap src');
}
