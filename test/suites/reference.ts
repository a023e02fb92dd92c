import type { Provider } from '../vectors/check.js';

export type { Provider };

/** A generator of the same bytes for the same seed: xorshift32. Tests that fail must fail again. */
export function seeded(seed: number): { next(below: number): number; bytes(size: number): Buffer } {
  let state = seed >>> 0 || 1;
  const step = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  return {
    next: (below) => step() % below,
    bytes: (size) => {
      const bytes = Buffer.alloc(Math.ceil(size / 4) * 4);
      for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(step(), at);
      return bytes.subarray(0, size);
    },
  };
}

/** Cuts data into pieces of random sizes, empty ones among them. */
export function* pieces(random: ReturnType<typeof seeded>, data: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < data.length; ) {
    const size = random.next(4) === 0 ? random.next(40) : random.next(Math.max(2, data.length / 3));
    yield data.subarray(at, at + size);
    at += size;
  }
}

/** The kernel's ciphers that node:crypto knows too, and how. Sizes in bytes. */
export const knownCiphers = [
  { name: 'cbc(aes)', node: 'aes-128-cbc', key: 16, iv: 16, streams: true },
  { name: 'cbc(aes)', node: 'aes-256-cbc', key: 32, iv: 16, streams: true },
  { name: 'ecb(aes)', node: 'aes-192-ecb', key: 24, iv: 0, streams: true },
  { name: 'ctr(aes)', node: 'aes-256-ctr', key: 32, iv: 16, streams: true },
  { name: 'xts(aes)', node: 'aes-256-xts', key: 64, iv: 16, streams: false },
  { name: 'chacha20', node: 'chacha20', key: 32, iv: 16, streams: true },
  { name: 'cbc(des3_ede)', node: 'des-ede3-cbc', key: 24, iv: 8, streams: true },
  { name: 'cfb(aes)', node: 'aes-128-cfb', key: 16, iv: 16, streams: true },
  { name: 'ofb(aes)', node: 'aes-128-ofb', key: 16, iv: 16, streams: true },
] as const;

export const knownAeads = [
  { name: 'gcm(aes)', node: 'aes-256-gcm', key: 32, iv: 12, tags: [16, 12] },
  { name: 'ccm(aes)', node: 'aes-128-ccm', key: 16, iv: 13, tags: [16, 8] },
  { name: 'ccm(aes)', node: 'aes-256-ccm', key: 32, iv: 7, tags: [4] },
  { name: 'rfc7539(chacha20,poly1305)', node: 'chacha20-poly1305', key: 32, iv: 12, tags: [16] },
] as const;

/** The kernel's hashes that node:crypto knows too, and how. */
export const knownHashes: Record<string, string> = {
  md5: 'md5',
  sha1: 'sha1',
  sha224: 'sha224',
  sha256: 'sha256',
  sha384: 'sha384',
  sha512: 'sha512',
  'sha3-256': 'sha3-256',
  rmd160: 'ripemd160',
};
