import { libraryKind } from '../../base/binding.js';
import type { AlgType } from './proc-crypto.js';

/** How libcrypto does an algorithm of the kernel's. Sizes in bytes. */
export interface LibraryAlgorithm {
  kind: (typeof libraryKind)[keyof typeof libraryKind];
  /** libcrypto's name of it, which for a cipher depends on the key's size; undefined: no such key size. */
  evpName(keySize: number): string | undefined;
  keySizes: number[] | undefined;
  ivSize: number;
  blockSize: number;
  digestSize: number;
  maxAuthSize: number;
}

/** The kernel's digest name to libcrypto's, with digest and block size. */
const digests: Record<string, [evp: string, digestSize: number, blockSize: number]> = {
  md5: ['MD5', 16, 64],
  rmd160: ['RIPEMD160', 20, 64],
  sha1: ['SHA1', 20, 64],
  sha224: ['SHA224', 28, 64],
  sha256: ['SHA256', 32, 64],
  sha384: ['SHA384', 48, 128],
  sha512: ['SHA512', 64, 128],
  // The kernel has none of these two.
  'sha512-224': ['SHA512-224', 28, 128],
  'sha512-256': ['SHA512-256', 32, 128],
  'sha3-224': ['SHA3-224', 28, 144],
  'sha3-256': ['SHA3-256', 32, 136],
  'sha3-384': ['SHA3-384', 48, 104],
  'sha3-512': ['SHA3-512', 64, 72],
  sm3: ['SM3', 32, 64],
  'blake2b-512': ['BLAKE2B-512', 64, 128],
  'blake2s-256': ['BLAKE2S-256', 32, 64],
};

/** Block ciphers: libcrypto's name for a key size in bytes, and the block size. */
const ciphers: Record<string, { name(keySize: number): string; keySizes: number[]; block: number }> = {
  aes: { name: (size) => `AES-${size * 8}`, keySizes: [16, 24, 32], block: 16 },
  camellia: { name: (size) => `CAMELLIA-${size * 8}`, keySizes: [16, 24, 32], block: 16 },
  aria: { name: (size) => `ARIA-${size * 8}`, keySizes: [16, 24, 32], block: 16 },
  sm4: { name: () => 'SM4', keySizes: [16], block: 16 },
  des3_ede: { name: () => 'DES-EDE3', keySizes: [24], block: 8 },
};

/** Modes: libcrypto's suffix, and whether it works on whole blocks. */
const modes: Record<string, { suffix: string; whole: boolean; iv: boolean }> = {
  ecb: { suffix: 'ECB', whole: true, iv: false },
  cbc: { suffix: 'CBC', whole: true, iv: true },
  ctr: { suffix: 'CTR', whole: false, iv: true },
  ofb: { suffix: 'OFB', whole: false, iv: true },
  cfb: { suffix: 'CFB', whole: false, iv: true },
};

const none = { keySizes: undefined, ivSize: 0, blockSize: 1, digestSize: 0, maxAuthSize: 0 };

/** A table's own entry: names come from outside, and 'constructor' is in every object. */
function entry<T>(table: Record<string, T>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function hash(name: string): LibraryAlgorithm | undefined {
  const hmac = /^hmac\((.+)\)$/.exec(name)?.[1];
  const digest = entry(digests, hmac ?? name);
  if (digest) {
    const [evp, digestSize, blockSize] = digest;
    const kind = hmac ? libraryKind.hmac : libraryKind.digest;
    return { ...none, kind, evpName: () => evp, digestSize, blockSize };
  }
  const cipher = entry(ciphers, /^cmac\((.+)\)$/.exec(name)?.[1] ?? '');
  if (!cipher) return undefined;
  const { keySizes, block } = cipher;
  const evpName = (size: number) => (keySizes.includes(size) ? `${cipher.name(size)}-CBC` : undefined);
  return { ...none, kind: libraryKind.cmac, evpName, keySizes, digestSize: block, blockSize: block };
}

function skcipher(name: string): LibraryAlgorithm | undefined {
  // Copies: what Korchagin 2020 measures queues with.
  if (name === 'ecb(cipher_null)')
    return { ...none, kind: libraryKind.cipher, evpName: (size) => (size ? undefined : 'NULL'), keySizes: [0] };
  if (name === 'chacha20')
    return { ...none, kind: libraryKind.cipher, evpName: () => 'ChaCha20', keySizes: [32], ivSize: 16 };
  const [, modeName = '', cipherName = ''] = /^(\w+)\((\w+)\)$/.exec(name) ?? [];
  const cipher = entry(ciphers, cipherName);
  if (modeName === 'xts' && cipherName === 'aes') {
    // Two keys; libcrypto has no AES-192-XTS.
    const evpName = (size: number) => (size === 32 || size === 64 ? `AES-${size * 4}-XTS` : undefined);
    return { ...none, kind: libraryKind.cipher, evpName, keySizes: [32, 64], ivSize: 16, blockSize: 16 };
  }
  const mode = entry(modes, modeName);
  if (!mode || !cipher) return undefined;
  const { keySizes, block } = cipher;
  if (cipherName === 'des3_ede' && modeName === 'ctr') return undefined;
  const evpName = (size: number) => (keySizes.includes(size) ? `${cipher.name(size)}-${mode.suffix}` : undefined);
  const blockSize = mode.whole ? block : 1;
  return { ...none, kind: libraryKind.cipher, evpName, keySizes, ivSize: mode.iv ? block : 0, blockSize };
}

function aead(name: string): LibraryAlgorithm | undefined {
  const aes = (suffix: string) => (size: number) =>
    [16, 24, 32].includes(size) ? `AES-${size * 8}-${suffix}` : undefined;
  const common = { ...none, keySizes: [16, 24, 32], maxAuthSize: 16 };
  if (name === 'gcm(aes)') return { ...common, kind: libraryKind.gcm, evpName: aes('GCM'), ivSize: 12 };
  if (name === 'ccm(aes)') return { ...common, kind: libraryKind.ccm, evpName: aes('CCM'), ivSize: 16 };
  if (name === 'rfc7539(chacha20,poly1305)') {
    const evpName = (size: number) => (size === 32 ? 'ChaCha20-Poly1305' : undefined);
    return { ...common, kind: libraryKind.chacha20poly1305, evpName, keySizes: [32], ivSize: 12 };
  }
  return undefined;
}

function rng(name: string): LibraryAlgorithm | undefined {
  return name === 'stdrng' ? { ...none, kind: libraryKind.random, evpName: () => '' } : undefined;
}

const byType = { hash, skcipher, aead, rng };

/** How the library does this algorithm of the kernel's, or undefined where it does not know it. */
export function libraryAlgorithm(type: AlgType, name: string): LibraryAlgorithm | undefined {
  return byType[type](name);
}

/** The kernel's names that the library knows, for listings. */
export function libraryNames(type: AlgType): string[] {
  const pairs = Object.keys(modes).flatMap((mode) => Object.keys(ciphers).map((cipher) => `${mode}(${cipher})`));
  const candidates: Record<AlgType, string[]> = {
    hash: Object.keys(digests)
      .flatMap((digest) => [digest, `hmac(${digest})`])
      .concat(Object.keys(ciphers).map((cipher) => `cmac(${cipher})`)),
    skcipher: [...pairs, 'xts(aes)', 'chacha20'],
    aead: ['gcm(aes)', 'ccm(aes)', 'rfc7539(chacha20,poly1305)'],
    rng: ['stdrng'],
  };
  return candidates[type].filter((name) => libraryAlgorithm(type, name));
}
