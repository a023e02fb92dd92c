import { allocateSecret, secretOfHex } from '../../base/secret.js';
import { CryptError } from './error.js';
import { type KeyName, type KeySerial, keyTypes, takeFromKeyring } from './keyring.js';
import type { CipherSpec, IvModeName } from './spec.js';

/** A key as a table line names it. */
export type KeySource =
  | { kind: 'hex'; size: number; text: string }
  | { kind: 'none'; size: 0 }
  | ({ kind: 'keyring' } & KeyName);

/**
 * Reads `<hex>`, `-` or `:<size>:<type>:<description>`. Sizes in bytes. An odd last nibble is ignored, as the kernel does.
 * Source: drivers/md/dm-crypt.c:get_key_size, crypt_set_key. @throws CryptError, which does not repeat the key
 */
export function parseKey(text: string): KeySource {
  if (text === '-') return { kind: 'none', size: 0 };
  if (!text.startsWith(':')) {
    const size = text.length >> 1;
    if (size === 0 || !/^[0-9a-f]*$/i.test(text.slice(0, size * 2)))
      throw new CryptError(
        'Error decoding and setting key',
        'key',
        `${text.length} characters are not hex digits, nor '-'`,
      );
    return { kind: 'hex', size, text };
  }
  const [, digits, rest] = /^:(\d+):(.*)$/s.exec(text) ?? [];
  if (digits === undefined || Number(digits) >= 2 ** 31)
    throw new CryptError('Cannot parse key size', 'key', 'expected :SIZE:TYPE:DESCRIPTION');
  const [, type = '', description = ''] = /^([^:]*):(.*)$/s.exec(rest!) ?? [];
  const known = keyTypes.find((each) => each === type);
  const problem = /\s/.test(rest!)
    ? 'a description has no white space'
    : !known
      ? `the type is none of ${keyTypes.join(', ')}`
      : description === ''
        ? 'the description is missing'
        : Number(digits) === 0
          ? 'the size is 0'
          : undefined;
  if (problem) throw new CryptError('Error decoding and setting key', 'key', problem);
  return { kind: 'keyring', size: Number(digits), type: known!, description };
}

/** The bytes of a key, which the caller wipes, or the serial of one that stays in the kernel. @throws CryptError */
export function readKey(source: KeySource): Uint8Array | KeySerial {
  if (source.kind === 'keyring') return takeFromKeyring(source);
  return source.kind === 'hex' ? secretOfHex(source.text.slice(0, source.size * 2)) : allocateSecret(0);
}

/** Fills the bytes of a key with zeroes. */
export function wipeKey(key: Uint8Array | KeySerial): void {
  if (key instanceof Uint8Array) key.fill(0);
}

/** A key cut into what uses its parts: views of it, no copies. */
export interface KeyParts {
  /** One key for each tfm. */
  ciphers: Uint8Array[];
  /** lmk v3, tcw, elephant: what is the IV mode's. */
  extra: Uint8Array;
}

/**
 * Cuts a key. lmk: equal keys, and one more as the seed of version 3; tcw: cipher key, IV seed, 16 bytes of whitening;
 * elephant: two halves. Sizes in bytes. Source: drivers/md/dm-crypt.c:crypt_ctr_ivmode, crypt_setkey. @throws CryptError
 */
export function splitKey(key: Uint8Array, spec: CipherSpec, ivMode: IvModeName | undefined, ivSize: number): KeyParts {
  const extraSize = extraKeySize(key.length, spec.keyCount, ivMode, ivSize);
  if (extraSize > key.length)
    throw new CryptError('Error decoding and setting key', 'key', `${key.length} bytes are too few`);
  const size = Math.floor((key.length - extraSize) / spec.keyCount);
  const ciphers = Array.from({ length: spec.keyCount }, (_, index) => key.subarray(index * size, (index + 1) * size));
  // lmk's seed stands behind its keys; what the others have is the end of the key.
  const extra =
    ivMode === 'lmk' ? key.subarray(size * spec.keyCount).subarray(0, extraSize) : key.subarray(key.length - extraSize);
  return { ciphers, extra };
}

function extraKeySize(keySize: number, keyCount: number, ivMode: IvModeName | undefined, ivSize: number): number {
  if (ivMode === 'tcw') return ivSize + whiteningSize;
  if (ivMode === 'lmk') return keySize % keyCount ? Math.floor(keySize / (keyCount + 1)) : 0;
  if (ivMode !== 'elephant') return 0;
  if (keySize >> 1 > longestElephantKey)
    throw new CryptError('Error decoding and setting key', 'key', 'the elephant half of the key has at most 32 bytes');
  return keySize >> 1;
}

export const whiteningSize = 16;
const longestElephantKey = 32;
