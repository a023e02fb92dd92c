import { binding, libraryKind, type TfmHandle, typeNumber } from '../../base/binding.js';
import { checkInteger, noBytes, rangeError, valueError } from '../../base/bytes.js';
import { EINVAL, ENOENT, ENOSYS, EOPNOTSUPP } from '../../base/errno.js';
import { algError } from '../error.js';
import type { LibraryAlgorithm } from '../provider/library.js';
import { type AlgType, algTypes, findAlgorithm, readProcCrypto } from '../provider/proc-crypto.js';
import { unknownName } from '../provider/unknown-name.js';

/** What a tfm is sealed with before its first op is opened. */
export interface Seal {
  key: Uint8Array | undefined;
  keySerial: number | undefined;
  authSize: number | undefined;
}

/**
 * Opens and keys a tfm: the kernel's, or where `library` says how, libcrypto's.
 * @throws AlgError; RangeError for a key of a wrong size; TypeError
 */
export function openTfm(type: AlgType, name: string, seal: Seal, library: LibraryAlgorithm | undefined): TfmHandle {
  const handle = library ? openLibrary(name, seal, library) : openKernel(type, name);
  try {
    setSeal(handle, type, name, seal, library === undefined);
  } catch (error) {
    binding().tfm_close(handle);
    throw error;
  }
  return handle;
}

function openKernel(type: AlgType, name: string): TfmHandle {
  const failed: string[] = [];
  const handle = binding().kernel_open(typeNumber[type], name, 0, 0, failed);
  if (typeof handle !== 'number') return handle;
  const syscall = failed[0] ?? 'bind';
  const list = syscall === 'bind' && handle === -ENOENT ? readProcCrypto() : [];
  const other = algTypes.find((each) => each !== type && findAlgorithm(list, each, name));
  const unknown = handle === -ENOENT ? unknownName(type, name) : undefined;
  const hint = other
    ? `it is of type ${other}, and was asked for as ${type}`
    : unknown && `the kernel does not offer it: ${unknown}`;
  throw algError(syscall, name, handle, hint);
}

function openLibrary(name: string, { key }: Seal, library: LibraryAlgorithm): TfmHandle {
  const keySize = key?.length ?? library.keySizes?.[0] ?? 0;
  const evpName = library.evpName(keySize);
  if (evpName === undefined) throw wrongKey(name, keySize, library.keySizes!.join(' or '));
  // As the kernel answers (crypto/ahash.c), instead of hashing without it.
  if (key && library.kind === libraryKind.digest) throw algError('setsockopt(key)', name, -ENOSYS);
  const handle = openFastest(library.kind, evpName);
  if (typeof handle === 'number') throw algError('library', name, handle);
  return handle;
}

/** Where the CPU has SHA extensions, four units of a batch are hashed side by side; libcrypto hashes one. */
function openFastest(kind: LibraryAlgorithm['kind'], evpName: string): TfmHandle | number {
  if (kind !== libraryKind.digest || evpName !== 'SHA256') return binding().library_open(kind, evpName);
  const handle = binding().library_open(libraryKind.interleaved, evpName);
  return handle === -EOPNOTSUPP ? binding().library_open(kind, evpName) : handle;
}

function setSeal(handle: TfmHandle, type: AlgType, name: string, seal: Seal, isKernel: boolean): void {
  const { key, keySerial, authSize } = seal;
  const native = binding();
  const check = (syscall: string, result: number) => {
    if (result < 0) throw algError(syscall, name, result);
  };
  if (keySerial !== undefined) check('setsockopt(key serial)', native.tfm_set_key_serial(handle, keySerial));
  if (key) {
    const result = native.tfm_set_key(handle, key);
    if (result === -EINVAL) throw refusedKey(type, name, key.length);
    check('setsockopt(key)', result);
    if (!isKernel) tryKey(handle, name);
  } else if (type === 'rng' && isKernel) {
    // A DRBG must be seeded, and takes an empty seed (algif_rng.c). Other generators take none, which is as well.
    native.tfm_set_key(handle, noBytes);
  }
  if (authSize === undefined) return;
  if (type !== 'aead') throw valueError(`authSize: expected none for a ${type}, got ${authSize}`);
  checkInteger('authSize', authSize, 0, 64);
  const result = native.tfm_set_authsize(handle, authSize);
  if (isKernel) check('setsockopt(authsize)', result);
  else if (result < 0) throw algError('library', name, result, 'the algorithm has no tag of this size');
}

/** libcrypto looks at a key when a context is made, and refuses some that the kernel takes (equal halves of XTS's). */
function tryKey(handle: TfmHandle, name: string): void {
  const op = binding().op_open(handle);
  if (typeof op === 'number') throw algError('setsockopt(key)', name, op);
  binding().op_close(op);
}

function wrongKey(name: string, got: number, expected: string): RangeError {
  return rangeError(`key: expected ${expected} bytes for ${name}, got ${got}`);
}

/** The kernel says EINVAL to any key it does not like; where the sizes are known, say so. */
function refusedKey(type: AlgType, name: string, size: number): Error {
  const { minKeySize: min, maxKeySize: max } = findAlgorithm(readProcCrypto(), type, name) ?? {};
  if (min !== undefined && max !== undefined && (size < min || size > max))
    return wrongKey(name, size, min === max ? `${min}` : `${min} to ${max}`);
  return algError('setsockopt(key)', name, -EINVAL);
}
