import { readFileSync } from 'node:fs';

export type AlgType = 'hash' | 'skcipher' | 'aead' | 'rng';
export const algTypes: readonly AlgType[] = ['hash', 'skcipher', 'aead', 'rng'];

/** One algorithm of /proc/crypto: sizes in bytes; undefined where the kernel does not give one. */
export interface Algorithm {
  name: string;
  driver: string;
  module: string;
  priority: number;
  /** The kernel's own word: 'skcipher', 'shash', 'ahash', 'aead', 'rng', 'cipher', ... */
  kernelType: string;
  /** The AF_ALG type that binds it, if any. */
  type: AlgType | undefined;
  internal: boolean;
  /** What the driver says of itself. It is not to be relied on: simd wrappers say yes and complete inline. */
  async: boolean;
  blockSize: number | undefined;
  minKeySize: number | undefined;
  maxKeySize: number | undefined;
  ivSize: number | undefined;
  chunkSize: number | undefined;
  digestSize: number | undefined;
  maxAuthSize: number | undefined;
}

const afAlgType: Record<string, AlgType> = {
  shash: 'hash',
  ahash: 'hash',
  skcipher: 'skcipher',
  lskcipher: 'skcipher',
  aead: 'aead',
  rng: 'rng',
};

/** Parses the text of /proc/crypto (kernel: crypto/proc.c:c_show). */
export function parseProcCrypto(text: string): Algorithm[] {
  return text
    .split(/\n\s*\n/)
    .filter((block) => block.trim())
    .map((block) => {
      const field: Record<string, string> = {};
      for (const line of block.split('\n')) {
        const colon = line.indexOf(':');
        if (colon > 0) field[line.slice(0, colon).trim()] = line.slice(colon + 1).trim();
      }
      const size = (key: string) => (field[key] === undefined ? undefined : Number(field[key]));
      const kernelType = field['type'] ?? '';
      return {
        name: field['name'] ?? '',
        driver: field['driver'] ?? '',
        module: field['module'] ?? '',
        priority: Number(field['priority'] ?? 0),
        kernelType,
        type: afAlgType[kernelType],
        internal: field['internal'] === 'yes',
        async: field['async'] === 'yes',
        blockSize: size('blocksize'),
        minKeySize: size('min keysize'),
        maxKeySize: size('max keysize'),
        ivSize: size('ivsize'),
        chunkSize: size('chunksize'),
        digestSize: size('digestsize'),
        maxAuthSize: size('maxauthsize'),
      };
    });
}

/** What /proc/crypto lists now; empty where it cannot be read. */
export function readProcCrypto(): Algorithm[] {
  try {
    return parseProcCrypto(readFileSync('/proc/crypto', 'utf8'));
  } catch {
    return [];
  }
}

/** What the kernel takes for this name: the exact driver, else the highest priority of that algorithm's name. */
export function findAlgorithm(list: Algorithm[], type: AlgType, name: string): Algorithm | undefined {
  const usable = list.filter((algorithm) => algorithm.type === type && !algorithm.internal);
  const drivers = usable.filter((algorithm) => algorithm.driver === name);
  const candidates = drivers.length ? drivers : usable.filter((algorithm) => algorithm.name === name);
  return candidates.reduce<Algorithm | undefined>(
    (best, each) => (best && best.priority >= each.priority ? best : each),
    undefined,
  );
}
