import { randomBytes, timingSafeEqual } from 'node:crypto';
import { allocateSecret } from '../base/secret.js';
import { CryptConvert } from '../crypto/sector/convert.js';
import { mergeKey, splitKey } from './anti-forensic.js';
import { LuksError } from './error.js';
import type { HeaderStorage } from './header.js';
import { areaOf, type Digest, digestOf, type Kdf, type Keyslot, type Metadata } from './metadata.js';
import { derive, type Pbkdf } from './pbkdf.js';

/** The costs of a slot. */
export function pbkdfOf(kdf: Kdf): Pbkdf {
  return kdf.type === 'pbkdf2'
    ? { type: kdf.type, hash: kdf.hash, iterations: kdf.iterations }
    : { type: kdf.type, passes: kdf.time, kibibytes: kdf.memory, lanes: kdf.cpus };
}

const saltSize = 32;

/** A slot's kdf with a new salt. */
export function makeKdf(pbkdf: Pbkdf): Kdf {
  const salt = randomBytes(saltSize).toString('base64');
  if (pbkdf.type === 'pbkdf2') return { ...pbkdf, salt };
  const { type, passes, kibibytes, lanes } = pbkdf;
  return { type, time: passes, memory: kibibytes, cpus: lanes, salt };
}

/**
 * The key that a passphrase opens in a slot, for the caller to wipe; null where it is not the slot's passphrase.
 * Source: LUKS2 On-Disk Format Specification 1.1.3, section 4. @throws LuksError
 */
export async function openKeyslot(
  storage: HeaderStorage,
  metadata: Metadata,
  slot: number,
  passphrase: Uint8Array,
): Promise<Buffer | null> {
  const keyslot = passphraseSlot(metadata, slot);
  const { key_size, af, kdf } = keyslot;
  const digest = digestOf(metadata, slot);
  if (!digest) throw new LuksError('ENODEV', `key slot ${slot}: no digest tells whether its key is right`);
  const material = await readMaterial(storage, slot, keyslot);
  try {
    await convertArea('decrypt', keyslot, kdf!, passphrase, material);
    const key = mergeKey(material, key_size, af!.stripes, af!.hash);
    if (await isDigestOf(digest, key)) return key;
    key.fill(0);
    return null;
  } finally {
    material.fill(0);
  }
}

/** Encrypts a key into its slot's area and flushes it. The header does not name the slot yet. @throws LuksError */
export async function writeKeyslot(
  storage: HeaderStorage,
  keyslot: Keyslot,
  key: Uint8Array,
  passphrase: Uint8Array,
): Promise<void> {
  const { af, kdf } = keyslot;
  const split = splitKey(key, af!.stripes, af!.hash);
  const material = allocateSecret(materialSize(keyslot));
  try {
    split.copy(material);
    await convertArea('encrypt', keyslot, kdf!, passphrase, material);
    await storage.write(material, areaOf(keyslot).offset);
    await storage.flush();
  } finally {
    split.fill(0);
    material.fill(0);
  }
}

/** Overwrites a slot's material, so that no passphrase opens it any more, and flushes that. */
export async function wipeArea(storage: HeaderStorage, area: { offset: number; size: number }): Promise<void> {
  const size = Math.min(area.size, Math.max(0, storage.size - area.offset));
  if (size === 0) return;
  await storage.write(randomBytes(size), area.offset);
  await storage.flush();
}

/** Whether a key is the one that a digest was made of; compared in constant time. @throws LuksError */
export async function isDigestOf(digest: Digest, key: Uint8Array): Promise<boolean> {
  if (digest.type !== 'pbkdf2')
    throw new LuksError('ENOTSUP', `digest of type ${digest.type}: only pbkdf2 is implemented`);
  const expected = Buffer.from(digest.digest, 'base64');
  const { hash, iterations } = digest;
  const salt = Buffer.from(digest.salt, 'base64');
  const found = await derive({ type: 'pbkdf2', hash, iterations }, key, salt, expected.length);
  return timingSafeEqual(found, expected);
}

/** A digest of a key with a new salt. `size`: bytes, as LUKS2 has it that of the hash. */
export async function makeDigest(
  key: Uint8Array,
  hash: string,
  iterations: number,
  size: number,
): Promise<Pick<Digest, 'type' | 'hash' | 'iterations' | 'salt' | 'digest'>> {
  const salt = randomBytes(saltSize);
  const digest = await derive({ type: 'pbkdf2', hash, iterations }, key, salt, size);
  return { type: 'pbkdf2', hash, iterations, salt: salt.toString('base64'), digest: digest.toString('base64') };
}

/** The slot of a number, if a passphrase can open it. @throws LuksError ENOENT, ENOTSUP */
export function passphraseSlot({ keyslots }: Metadata, slot: number): Keyslot {
  const keyslot = keyslots[slot];
  if (!keyslot) throw new LuksError('ENOENT', `key slot ${slot} is not in use`);
  if (keyslot.type !== 'luks2' || !keyslot.af || !keyslot.kdf)
    throw new LuksError('ENOTSUP', `key slot ${slot} is of type ${keyslot.type}, which no passphrase opens`);
  return keyslot;
}

/** Bytes of a slot's material in whole sectors; its area may be longer. */
function materialSize({ key_size, af }: Keyslot): number {
  return Math.ceil((key_size * af!.stripes) / 512) * 512;
}

async function readMaterial(storage: HeaderStorage, slot: number, keyslot: Keyslot): Promise<Buffer> {
  const { offset } = areaOf(keyslot);
  const size = materialSize(keyslot);
  if (offset + size > storage.size)
    throw new LuksError(
      'ENODEV',
      `key slot ${slot}: its material ends at byte ${offset + size}, ${storage.describe()} at ${storage.size}; was it truncated?`,
    );
  const material = allocateSecret(size);
  await storage.read(material, offset);
  return material;
}

/** Sectors of 512 bytes, numbered from 0 in each area, whatever the sector size of the data. */
async function convertArea(
  direction: 'encrypt' | 'decrypt',
  { area }: Keyslot,
  kdf: Kdf,
  passphrase: Uint8Array,
  material: Buffer,
): Promise<void> {
  const key = await derive(pbkdfOf(kdf), passphrase, Buffer.from(kdf.salt, 'base64'), area.key_size!);
  try {
    using convert = new CryptConvert({ cipher: area.encryption!, key });
    await convert.convert(direction, 0, material, material);
  } finally {
    key.fill(0);
  }
}
