import { createHash, randomFillSync, randomUUID } from 'node:crypto';
import { allocateSecret, copySecret } from '../base/secret.js';
import { CryptConvert } from '../crypto/sector/convert.js';
import { LuksError } from './error.js';
import { type HeaderStorage, headerEnd, type LuksHeader } from './header.js';
import { makeDigest } from './keyslot.js';
import { layOutLuks1, luks1DigestSize } from './luks1.js';
import { addKey } from './manage.js';
import type { Metadata } from './metadata.js';
import { measurePbkdf, type Pbkdf, requireHash } from './pbkdf.js';
import { binarySize, headerSizes, maxKeySize, maxKeyslotsSize } from './validate.js';

/** How a new volume is made. Sizes and offsets in bytes. The defaults are cryptsetup 2.6's. */
export interface LuksFormat {
  type?: 'luks1' | 'luks2' | undefined;
  /** As a table line has it. Default 'aes-xts-plain64'. */
  cipher?: string | undefined;
  /** Default 64 for xts, otherwise 32. */
  keySize?: number | undefined;
  /** Of the digest, the anti-forensic splitter and PBKDF2. Default 'sha256'. */
  hash?: string | undefined;
  /** LUKS2: 512 to 4096. Default: 4096 where the data is whole sectors of that. */
  sectorSize?: number | undefined;
  uuid?: string | undefined;
  /** LUKS2 alone; at most 47 bytes. */
  label?: string | undefined;
  subsystem?: string | undefined;
  /** One copy of LUKS2's header. Default 16 KiB. */
  metadataSize?: number | undefined;
  /** Default: 16 MiB less both copies. */
  keyslotsSize?: number | undefined;
  /** Where the data begins. Default: behind the key slots, at a multiple of 1 MiB; 0 with a detached header. */
  offset?: number | undefined;
  /** The header's storage is not the data's. */
  detached?: boolean | undefined;
  /** Bytes of the data's storage, which decides about the sector size. */
  dataSize: number;
  /** Milliseconds for the digest's iterations: an eighth of a slot's in LUKS1. Default 125. */
  digestTime?: number | undefined;
}

const mebibyte = 1 << 20;
const defaultMetadataSize = 16 << 10;
const defaultHeaderSize = 16 * mebibyte;

/** A new header with its first key slot, for the caller to write. @throws LuksError, CryptError before anything is written */
export async function makeHeader(format: LuksFormat, volumeKey: Uint8Array): Promise<LuksHeader> {
  const { type = 'luks2', hash = 'sha256', uuid = randomUUID(), digestTime = 125 } = format;
  const cipher = format.cipher ?? defaultCipher;
  requireHash(hash);
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid))
    throw new LuksError('EINVAL', `uuid: ${uuid} is none`);
  if (volumeKey.length > maxKeySize) throw new LuksError('EINVAL', `the volume key has more than ${maxKeySize} bytes`);
  const header = type === 'luks1' ? luks1(format, cipher, volumeKey.length, uuid) : luks2(format, cipher, uuid);
  const segment = header.metadata.segments['0']!;
  if (!format.detached && format.dataSize <= Number(segment.offset))
    throw new LuksError(
      'ENODEV',
      `${format.dataSize} bytes have no room for data behind the header with its key slots, which takes ${segment.offset}; use --size`,
    );
  // A cipher that nobody here has, or a key that is none of its, is found before anything is written.
  new CryptConvert({ cipher, key: volumeKey, sectorSize: segment.sector_size! }).close();
  const { iterations } = (await measurePbkdf({ type: 'pbkdf2', hash, iterTime: digestTime }, volumeKey.length)) as {
    iterations: number;
  };
  const size = type === 'luks1' ? luks1DigestSize : hashSize(hash);
  header.metadata.digests = {
    0: { ...(await makeDigest(volumeKey, hash, iterations, size)), keyslots: [], segments: ['0'] },
  };
  return header;
}

export const defaultCipher = 'aes-xts-plain64';

/** A random volume key, for the caller to wipe, or a copy of the one given. @throws LuksError */
export function makeVolumeKey({ cipher = defaultCipher, keySize }: LuksFormat, given?: Uint8Array): Buffer {
  if (given) {
    if (keySize !== undefined && given.length !== keySize)
      throw new LuksError('EINVAL', `the volume key has ${given.length} bytes, and --key-size asks for ${keySize}`);
    return copySecret(given);
  }
  const size = keySize ?? (/xts/.test(cipher) ? 64 : 32);
  if (!Number.isInteger(size) || size < 1 || size > maxKeySize)
    throw new LuksError('EINVAL', `key size: ${size} bytes; expected 1 to ${maxKeySize}`);
  return randomFillSync(allocateSecret(size));
}

/**
 * Writes a new volume: the area of the key slots is emptied, so that no header that was there is found again; then the first slot; then
 * the header.
 */
export async function writeNewVolume(
  storage: HeaderStorage,
  header: LuksHeader,
  first: {
    key: Uint8Array;
    passphrase: Uint8Array;
    pbkdf: Pbkdf;
    slot?: number | undefined;
    hash?: string | undefined;
  },
): Promise<void> {
  const end = headerEnd(header);
  if (end > storage.size)
    throw new LuksError(
      'ENODEV',
      `${storage.describe()} has ${storage.size} bytes, and the header with its key slots takes ${end}; use --size`,
    );
  const zeroes = Buffer.alloc(mebibyte);
  for (let at = 0; at < end; at += zeroes.length)
    await storage.write(zeroes.subarray(0, Math.min(zeroes.length, end - at)), at);
  await storage.flush();
  await addKey(storage, header, first);
}

function luks1(format: LuksFormat, cipher: string, keySize: number, uuid: string): LuksHeader {
  for (const [name, value] of Object.entries({
    '--label': format.label,
    '--subsystem': format.subsystem,
    '--luks2-metadata-size': format.metadataSize,
    '--luks2-keyslots-size': format.keyslotsSize,
  }))
    if (value !== undefined) throw new LuksError('EINVAL', `${name} is for --type luks2`);
  if ((format.sectorSize ?? 512) !== 512)
    throw new LuksError('EINVAL', 'LUKS1 has sectors of 512 bytes; use --type luks2');
  const { areas, end } = layOutLuks1(keySize);
  const offset = format.offset ?? (format.detached ? 0 : alignUp(end, mebibyte));
  checkOffset(offset, end, format.detached ?? false, 512);
  return {
    version: 1,
    uuid,
    label: '',
    subsystem: '',
    size: 1024,
    sequence: 0n,
    areas,
    damage: [],
    metadata: makeMetadata(cipher, offset, 512, { json_size: '0' }),
  };
}

function luks2(format: LuksFormat, cipher: string, uuid: string): LuksHeader {
  const { label = '', subsystem = '', metadataSize: size = defaultMetadataSize, detached = false, dataSize } = format;
  for (const [name, value] of Object.entries({ label, subsystem }))
    if (Buffer.byteLength(value) > 47 || value.includes('\0'))
      throw new LuksError('EINVAL', `${name}: more than 47 bytes`);
  if (!headerSizes.includes(size))
    throw new LuksError('EINVAL', `metadata size: ${size} bytes; expected one of ${headerSizes.join(', ')}`);
  const room = detached || format.offset === undefined ? defaultHeaderSize : format.offset;
  const keyslotsSize = format.keyslotsSize ?? Math.floor((room - 2 * size) / 4096) * 4096;
  if (keyslotsSize % 4096 || keyslotsSize <= 0 || keyslotsSize > maxKeyslotsSize)
    throw new LuksError(
      'EINVAL',
      `key slots' area: ${keyslotsSize} bytes; expected a multiple of 4096 up to ${maxKeyslotsSize}`,
    );
  const end = 2 * size + keyslotsSize;
  const offset = format.offset ?? (detached ? 0 : alignUp(end, mebibyte));
  const sectorSize = format.sectorSize ?? ((dataSize - offset) % 4096 || offset % 4096 ? 512 : 4096);
  if (![512, 1024, 2048, 4096].includes(sectorSize))
    throw new LuksError('EINVAL', `sector size: ${sectorSize}; expected 512, 1024, 2048 or 4096`);
  checkOffset(offset, end, detached, sectorSize);
  const config = { json_size: String(size - binarySize), keyslots_size: String(keyslotsSize) };
  return {
    version: 2,
    uuid,
    label,
    subsystem,
    size,
    sequence: 0n,
    damage: [],
    metadata: makeMetadata(cipher, offset, sectorSize, config),
  };
}

function makeMetadata(cipher: string, offset: number, sectorSize: number, config: Metadata['config']): Metadata {
  const segment = {
    type: 'crypt',
    offset: String(offset),
    size: 'dynamic',
    iv_tweak: '0',
    encryption: cipher,
    sector_size: sectorSize,
  };
  return { keyslots: {}, tokens: {}, segments: { 0: segment }, digests: {}, config };
}

function checkOffset(offset: number, end: number, detached: boolean, sectorSize: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0 || offset % Math.max(sectorSize, 512))
    throw new LuksError('EINVAL', `data offset: ${offset} bytes are no whole sectors of ${sectorSize}`);
  if (!detached && offset < end)
    throw new LuksError('EINVAL', `data offset: the header and its key slots end at byte ${end}, not before ${offset}`);
}

function hashSize(hash: string): number {
  return createHash(requireHash(hash)).digest().length;
}

export function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
