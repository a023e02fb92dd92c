import type { Direction } from '../request/iv.js';
import { CipherMessage, type CipherOptions } from './cipher-message.js';
import { type Data, type Key, toBytes } from './data.js';
import { createHash, type HashOptions } from './hash.js';
import { driveSync } from './steps.js';

/** What encrypt and decrypt need beside the data. */
export interface SealOptions extends CipherOptions {
  key?: Key;
  /** Not for a cipher without an IV (ecb). */
  iv?: Data | null;
  /** Associated data of an AEAD: authenticated and not encrypted. */
  aad?: Data;
  /** PKCS#7 for cbc and ecb. Default true. */
  autoPadding?: boolean;
}

/** The digest of a message. @throws AlgError, TypeError */
export function hash(name: string, data: Data, options: HashOptions = {}): Buffer {
  using running = createHash(name, options);
  return running.update(data).digest();
}

/**
 * Encrypts a message. Of an AEAD the result is the ciphertext and the tag.
 * @throws AlgError, TypeError, RangeError
 */
export function encrypt(name: string, options: SealOptions, data: Data): Buffer {
  return seal('encrypt', name, options, data);
}

/**
 * Decrypts a message. An AEAD's is the ciphertext and the tag.
 * @throws AlgError (EBADMSG: not authentic, or wrong padding), TypeError, RangeError
 */
export function decrypt(name: string, options: SealOptions, data: Data): Buffer {
  return seal('decrypt', name, options, data);
}

function seal(direction: Direction, name: string, options: SealOptions, data: Data): Buffer {
  const bytes = toBytes('data', data);
  const message = openMessage(direction, name, options);
  return Buffer.concat([driveSync(message.update(bytes)), driveSync(message.final())]);
}

/** A message with its tag attached. @throws AlgError, TypeError, RangeError */
export function openMessage(direction: Direction, name: string, options: SealOptions): CipherMessage {
  const { key, iv, aad, autoPadding = true, ...rest } = options;
  const aadBytes = aad === undefined ? undefined : toBytes('aad', aad);
  const message = new CipherMessage(direction, name, key ?? null, iv ?? null, { ...rest, tagAttached: true });
  try {
    if (aadBytes) message.addAad(aadBytes);
    message.setPadding(autoPadding);
  } catch (error) {
    message.close();
    throw error;
  }
  return message;
}
