import { EBADMSG } from '../../base/errno.js';
import { algError } from '../error.js';

/** The last, incomplete block of a message with PKCS#7 padding: one whole block. */
export function pad(rest: Uint8Array, blockSize: number): Uint8Array {
  const block = new Uint8Array(blockSize).fill(blockSize - rest.length);
  block.set(rest);
  return block;
}

/** The last block without its PKCS#7 padding. @throws AlgError EBADMSG when that is not what it ends with */
export function unpad(alg: string, block: Uint8Array): Uint8Array {
  const count = block.at(-1)!;
  // Every byte is looked at whatever the ones before say: how long it takes must not tell where the padding broke.
  let wrong = count === 0 || count > block.length ? 1 : 0;
  for (let i = 0; i < block.length; i++) if (i >= block.length - count) wrong |= block[i]! ^ count;
  if (wrong)
    throw algError(
      'decrypt',
      alg,
      -EBADMSG,
      'bad decrypt: the padding is wrong, so the key, the IV or the data is not what was encrypted; data without padding needs setAutoPadding(false)',
    );
  return block.subarray(0, block.length - count);
}
