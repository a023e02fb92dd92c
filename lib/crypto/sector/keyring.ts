import { readFileSync } from 'node:fs';
import { binding } from '../../base/binding.js';
import { noBytes } from '../../base/bytes.js';
import { allocateSecret } from '../../base/secret.js';
import { errnoName } from '../error.js';
import { CryptError } from './error.js';

export const keyTypes = ['logon', 'user', 'encrypted', 'trusted'] as const;

/** A key in the kernel's keyring, as a table line names it. */
export interface KeyName {
  type: (typeof keyTypes)[number];
  description: string;
  /** Bytes of the key that is expected. */
  size: number;
}

/** A key that the kernel keeps to itself: a tfm of the kernel's takes it by its number. */
export interface KeySerial {
  serial: number;
  /** Bytes. */
  size: number;
}

/**
 * Finds a key where dm-crypt does, in the keyrings of the process (request_key(2), which makes none that is missing): the bytes of a
 * `user` key, which the caller wipes; of a `logon` or `encrypted` one, which nobody may read, the serial.
 * Source: drivers/md/dm-crypt.c:crypt_set_keyring_key. @throws CryptError
 */
export function takeFromKeyring(name: KeyName): Uint8Array | KeySerial {
  const { type, description, size } = name;
  const serial = checked('request_key', name, binding().key_request(type, description));
  if (type === 'user') return readPayload(serial, name);
  const held = type === 'logon' ? logonSize(serial) : type === 'encrypted' ? encryptedSize(serial, name) : undefined;
  if (held === undefined) throw refusal(name, 'EOPNOTSUPP', 'its size cannot be seen; use one of type user or logon');
  checkSize(name, held);
  return { serial, size };
}

function readPayload(serial: number, name: KeyName): Uint8Array {
  const payload = allocateSecret(name.size);
  try {
    checkSize(name, checked('keyctl(read)', name, binding().key_read(serial, payload)));
    return payload;
  } catch (error) {
    payload.fill(0);
    throw error;
  }
}

/** /proc/keys ends with the size of the payload (security/keys/user_defined.c:user_describe). */
function logonSize(serial: number): number | undefined {
  const hex = serial.toString(16).padStart(8, '0');
  const [, size] = new RegExp(`^${hex} .*: (\\d+)$`, 'm').exec(readFileSync('/proc/keys', 'utf8')) ?? [];
  return size === undefined ? undefined : Number(size);
}

/** What is read of it is its sealed form, `<format> <master key> <size> <hex>` (security/keys/encrypted-keys/encrypted.c:datablob_format). */
function encryptedSize(serial: number, name: KeyName): number | undefined {
  const sealed = Buffer.alloc(checked('keyctl(read)', name, binding().key_read(serial, noBytes)));
  checked('keyctl(read)', name, binding().key_read(serial, sealed));
  const [, size] = /^\S+ \S+ (\d+) /.exec(sealed.toString('latin1')) ?? [];
  return size === undefined ? undefined : Number(size);
}

function checkSize(name: KeyName, held: number): void {
  if (held !== name.size) throw refusal(name, 'EINVAL', `expected ${name.size} bytes, got ${held}`);
}

function checked(syscall: string, name: KeyName, result: number): number {
  if (result >= 0) return result;
  const { code, text } = errnoName(-result);
  const ofCryptsetup = code === 'ENOKEY' && name.type === 'logon' ? loaded : '';
  throw refusal(name, code, `${syscall}: ${code}: ${hints[code] ?? text}${ofCryptsetup}`);
}

function refusal({ type, description }: KeyName, code: string, why: string): CryptError {
  return new CryptError('Error decoding and setting key', 'key', `${type} key '${description}': ${why}`, { code });
}

const forbidden =
  "the kernel's keyring is out of reach (a container's seccomp filter, or a kernel without it): allow request_key and keyctl, or give the key in hex";
const loaded =
  "; cryptsetup takes a volume's key out of the keyring once the volume is open: after 'cryptsetup open --disable-keyring' the key itself stands in 'dmsetup table --showkeys'";
const hints: Record<string, string> = {
  EPERM: forbidden,
  ENOSYS: forbidden,
  ENOKEY: 'it is in no keyring of this process (thread, process, session or user session); see keyctl show',
  EACCES: 'its permissions let this process neither search nor read it; see keyctl describe',
  EKEYEXPIRED: 'it has expired',
  EKEYREVOKED: 'it has been revoked',
  EKEYREJECTED: 'it was rejected when it was made',
};
