import type { LibraryAlgorithm } from '../provider/library.js';
import { type Algorithm, type AlgType, findAlgorithm, readProcCrypto } from '../provider/proc-crypto.js';

/** Sizes of an algorithm, in bytes; undefined where /proc/crypto cannot be read. */
export interface TfmInfo {
  ivSize: number | undefined;
  blockSize: number | undefined;
  digestSize: number | undefined;
  minKeySize: number | undefined;
  maxKeySize: number | undefined;
  maxAuthSize: number | undefined;
  /** The driver behind the name; 'libcrypto' for the library. */
  driver: string | undefined;
  /** The algorithm's own name, also where it was asked for by its driver's. */
  algorithm: string;
}

// What /proc/crypto says of an algorithm does not change, and reading it takes longer than opening the socket.
const known = new Map<string, Algorithm>();

function lookUp(type: AlgType, name: string): Algorithm | undefined {
  const key = `${type} ${name}`;
  const found = known.get(key) ?? findAlgorithm(readProcCrypto(), type, name);
  if (found) known.set(key, found);
  return found;
}

/** What is known of an algorithm of the kernel's. It is listed once it has been bound. */
export function describeKernel(type: AlgType, name: string): TfmInfo {
  const found = lookUp(type, name);
  return {
    ivSize: found?.ivSize,
    blockSize: found?.blockSize,
    digestSize: found?.digestSize,
    minKeySize: found?.minKeySize,
    maxKeySize: found?.maxKeySize,
    maxAuthSize: found?.maxAuthSize,
    driver: found?.driver,
    algorithm: found?.name ?? name,
  };
}

export function describeLibrary(name: string, library: LibraryAlgorithm): TfmInfo {
  const { ivSize, blockSize, digestSize, maxAuthSize, keySizes } = library;
  const [minKeySize, maxKeySize] = [keySizes?.[0], keySizes?.at(-1)];
  return { ivSize, blockSize, digestSize, maxAuthSize, minKeySize, maxKeySize, driver: 'libcrypto', algorithm: name };
}
