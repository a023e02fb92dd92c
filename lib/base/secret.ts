import { closeSync, openSync, readSync } from 'node:fs';

/**
 * Zeroes for a secret, which the caller wipes. In memory that stays where it is: V8 keeps short typed arrays, of 64 bytes and less, among its objects, and
 * leaves copies behind when it moves those; and Buffer's pool is everybody's.
 */
export function allocateSecret(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size));
}

/** A copy of a secret, as allocateSecret. */
export function copySecret(bytes: Uint8Array): Buffer {
  const copy = allocateSecret(bytes.length);
  copy.set(bytes);
  return copy;
}

/** No key and no table is longer. */
const longest = 16 << 20;

/**
 * The bytes of a file, or of a pipe, that holds a secret, for the caller to wipe. What is left behind on the way is wiped. @throws the file's error; RangeError for more than 16 MiB
 */
export function readSecret(path: string): Buffer {
  const fd = openSync(path, 'r');
  let bytes = allocateSecret(4096);
  let length = 0;
  try {
    for (;;) {
      const count = readSync(fd, bytes, length, bytes.length - length, null);
      if (count === 0) return bytes.subarray(0, length);
      length += count;
      if (length < bytes.length) continue;
      if (length >= longest) throw new RangeError(`${path}: more than ${longest >> 20} MiB are no key, and no table`);
      const longer = allocateSecret(bytes.length * 2);
      bytes.copy(longer);
      bytes.fill(0);
      bytes = longer;
    }
  } catch (error) {
    bytes.fill(0);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** The same as text, of which only the string is left. @throws as readSecret */
export function readSecretText(path: string): string {
  const bytes = readSecret(path);
  try {
    return bytes.toString('utf8');
  } finally {
    bytes.fill(0);
  }
}

/** The bytes of hex digits, for the caller to wipe. */
export function secretOfHex(text: string): Buffer {
  const bytes = allocateSecret(text.length >> 1);
  bytes.write(text, 'hex');
  return bytes;
}
