import { createHash } from 'node:crypto';
import { allocateSecret } from '../base/secret.js';
import { LuksError } from './error.js';
import { requireHash } from './pbkdf.js';

/** What `cryptsetup open --type plain` takes where nothing is given: by the release that a volume was made with. Key size in bytes. */
export const plainDefaults = {
  '2.6': { cipher: 'aes-cbc-essiv:sha256', keySize: 32, hash: 'ripemd160' },
  '2.8': { cipher: 'aes-xts-plain64', keySize: 32, hash: 'sha256' },
} as const;

/**
 * The key of a plain volume, for the caller to wipe. `hash`: the name of a hash, perhaps with a length in bytes behind a colon, or
 * 'plain': the passphrase itself. A digest shorter than the key is followed by that of 'A' and the passphrase, of 'AA' and the passphrase, and so on; what
 * a length or a passphrase leaves over is zeroes.
 * Source: libcryptsetup's lib/crypt_plain.c:crypt_plain_hash. @throws LuksError
 */
export function plainKey(passphrase: Uint8Array, hash: string, keySize: number): Buffer {
  const [, name, digits] = /^([^:]+)(?::(\d+))?$/.exec(hash) ?? [];
  if (name === undefined) throw new LuksError('EINVAL', `hash ${hash}: expected NAME or NAME:BYTES`);
  const length = digits === undefined ? keySize : Number(digits);
  if (length > keySize) throw new LuksError('EINVAL', `hash ${hash}: longer than the key of ${keySize} bytes`);
  const key = allocateSecret(keySize);
  if (name === 'plain') {
    key.set(passphrase.subarray(0, length));
    return key;
  }
  const node = requireHash(name);
  for (let at = 0, round = 0; at < length; round++) {
    const digest = createHash(node).update('A'.repeat(round)).update(passphrase).digest();
    digest.copy(key, at, 0, length - at);
    at += digest.length;
    digest.fill(0);
  }
  return key;
}
