import { KeyObject } from 'node:crypto';
import { isArrayBuffer } from 'node:util/types';
import { bytesOfView, checkBytes, valueError, wrongType } from '../../base/bytes.js';

/** What messages, keys and IVs may be given as. A string is read in its encoding, UTF-8 unless another is named. */
export type Data = string | ArrayBuffer | NodeJS.ArrayBufferView;

/**
 * The bytes of it, without copying what is bytes already.
 * @throws TypeError naming the argument, for anything else and for shared, resizable or detached memory
 */
export function toBytes(title: string, data: Data, encoding?: BufferEncoding): Uint8Array {
  if (typeof data === 'string') {
    checkEncoding(`${title}'s encoding`, encoding);
    if (encoding?.toLowerCase() === 'hex' && data.length % 2)
      throw valueError(`${title}'s encoding: expected an even number of hex digits, got ${data.length}`);
    return Buffer.from(data, encoding);
  }
  const expected = 'a string, Buffer, TypedArray, DataView or ArrayBuffer';
  if (!ArrayBuffer.isView(data) && !isArrayBuffer(data)) throw wrongType(title, expected, data);
  const bytes = ArrayBuffer.isView(data) ? bytesOfView(data) : new Uint8Array(data);
  checkBytes(title, bytes);
  return bytes;
}

/** @throws TypeError */
export function checkEncoding(title: string, encoding: BufferEncoding | undefined): void {
  if (encoding !== undefined && !Buffer.isEncoding(encoding))
    throw valueError(`${title}: expected an encoding of Buffer's, got ${String(encoding)}`);
}

/** What keys may be given as: besides data, a secret key of node:crypto's. */
export type Key = Data | KeyObject;

/**
 * Calls `use` with the bytes of a secret. The bytes of a string or of a KeyObject are a copy made here, and are wiped afterwards; bytes stay the
 * caller's. @throws TypeError
 */
export function withSecret<T>(title: string, secret: Key | undefined, use: (bytes?: Uint8Array) => T): T {
  if (secret === undefined) return use();
  const isOurs = typeof secret === 'string' || isKeyObject(secret);
  const bytes = isKeyObject(secret) ? exported(title, secret) : toBytes(title, secret);
  try {
    return use(bytes);
  } finally {
    if (isOurs) bytes.fill(0);
  }
}

const isKeyObject = (key: Key): key is KeyObject => key instanceof KeyObject;

function exported(title: string, key: KeyObject): Buffer {
  if (key.type !== 'secret') throw valueError(`${title}: expected a secret key, got a ${key.type} one`);
  return key.export();
}
