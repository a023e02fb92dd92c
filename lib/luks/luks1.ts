import { LuksError } from './error.js';
import { luksMagic } from './luks2.js';
import type { Digest, Keyslot, Metadata } from './metadata.js';
import { maxKeySize } from './validate.js';

/** What LUKS1's header says beyond Metadata: where its eight slots' material would lie, in use or not. */
export interface Luks1 {
  uuid: string;
  metadata: Metadata;
  areas: { offset: number; size: number }[];
}

export const luks1Slots = 8;
/** Bytes of the header; cryptsetup writes 1024. */
export const luks1Size = 592;
export const luks1Stripes = 4000;
export const luks1DigestSize = 20;
export const luks1SaltSize = 32;
const enabled = 0x00ac71f3;
const disabled = 0x0000dead;
const slotAt = 208;
const slotSize = 48;

/** Source: LUKS On-Disk Format Specification 1.2.3, figure 1. All numbers are big-endian. @throws LuksError ENODEV */
export function parseLuks1(bytes: Buffer): Luks1 {
  const text = (at: number, size: number, what: string) => {
    const all = bytes.subarray(at, at + size);
    const end = all.indexOf(0);
    const value = all.subarray(0, end < 0 ? size : end).toString('latin1');
    if (end < 0 || !/^[\x21-\x7e]*$/.test(value)) throw invalid(`${what} is no text`);
    return value;
  };
  const name = text(8, 32, 'cipher name');
  const mode = text(40, 32, 'cipher mode');
  const hash = text(72, 32, 'hash').toLowerCase();
  if (!name || !mode || !hash) throw invalid('cipher or hash is missing');
  const payload = bytes.readUInt32BE(104);
  const keySize = bytes.readUInt32BE(108);
  if (keySize === 0 || keySize > maxKeySize) throw invalid(`key size is ${keySize} bytes`);
  const iterations = bytes.readUInt32BE(164);
  if (iterations === 0) throw invalid('digest has 0 iterations');
  const encryption = `${name}-${mode}`;
  const keyslots: Record<string, Keyslot> = {};
  const areas: Luks1['areas'] = [];
  for (let slot = 0; slot < luks1Slots; slot++) {
    const at = slotAt + slot * slotSize;
    const active = bytes.readUInt32BE(at);
    const offset = bytes.readUInt32BE(at + 40) * 512;
    const stripes = bytes.readUInt32BE(at + 44);
    areas.push({ offset, size: materialSize(keySize) });
    if (active !== enabled && active !== disabled) throw invalid(`key slot ${slot} is neither in use nor free`);
    if (stripes !== luks1Stripes) throw invalid(`key slot ${slot} has ${stripes} stripes; expected ${luks1Stripes}`);
    if (active === disabled) continue;
    const kdf = {
      type: 'pbkdf2' as const,
      hash,
      iterations: bytes.readUInt32BE(at + 4),
      salt: bytes.toString('base64', at + 8, at + 8 + luks1SaltSize),
    };
    if (kdf.iterations === 0) throw invalid(`key slot ${slot} has 0 iterations`);
    keyslots[slot] = luks1Keyslot(encryption, keySize, hash, areas[slot]!, kdf);
  }
  checkAreas(areas, payload * 512);
  const digest: Digest = {
    type: 'pbkdf2',
    keyslots: Object.keys(keyslots),
    segments: ['0'],
    hash,
    iterations,
    salt: bytes.toString('base64', 132, 132 + luks1SaltSize),
    digest: bytes.toString('base64', 112, 112 + luks1DigestSize),
  };
  return {
    uuid: text(168, 40, 'UUID'),
    areas,
    metadata: {
      keyslots,
      tokens: {},
      segments: {
        0: {
          type: 'crypt',
          offset: String(payload * 512),
          size: 'dynamic',
          iv_tweak: '0',
          encryption,
          sector_size: 512,
        },
      },
      digests: { 0: digest },
      config: { json_size: '0' },
    },
  };
}

/** A slot of LUKS1 in the words of LUKS2: everything follows from the volume's cipher, hash and key size. */
export function luks1Keyslot(
  encryption: string,
  keySize: number,
  hash: string,
  area: { offset: number; size: number },
  kdf: NonNullable<Keyslot['kdf']>,
): Keyslot {
  return {
    type: 'luks2',
    key_size: keySize,
    af: { type: 'luks1', stripes: luks1Stripes, hash },
    area: { type: 'raw', offset: String(area.offset), size: String(area.size), encryption, key_size: keySize },
    kdf,
  };
}

/** The header as it is written: its first sectors, of which cryptsetup writes two. @throws LuksError ENOTSUP */
export function formatLuks1({ uuid, metadata, areas }: Luks1): Buffer {
  const bytes = Buffer.alloc(1024);
  const segment = metadata.segments['0']!;
  const digest = metadata.digests['0']!;
  const [, name, mode] = /^([^-]+)-(.+)$/.exec(segment.encryption!)!;
  luksMagic.copy(bytes);
  bytes.writeUInt16BE(1, 6);
  bytes.write(upTo31(name!, 'cipher name'), 8, 'latin1');
  bytes.write(upTo31(mode!, 'cipher mode'), 40, 'latin1');
  bytes.write(upTo31(digest.hash, 'hash'), 72, 'latin1');
  bytes.writeUInt32BE(Number(segment.offset) / 512, 104);
  bytes.writeUInt32BE(keySizeOf(areas), 108);
  bytes.write(digest.digest, 112, luks1DigestSize, 'base64');
  bytes.write(digest.salt, 132, luks1SaltSize, 'base64');
  bytes.writeUInt32BE(digest.iterations, 164);
  bytes.write(uuid, 168, 39, 'latin1');
  areas.forEach((area, slot) => {
    const at = slotAt + slot * slotSize;
    const kdf = metadata.keyslots[slot]?.kdf;
    bytes.writeUInt32BE(kdf ? enabled : disabled, at);
    if (kdf?.type === 'pbkdf2') {
      bytes.writeUInt32BE(kdf.iterations, at + 4);
      bytes.write(kdf.salt, at + 8, luks1SaltSize, 'base64');
    }
    bytes.writeUInt32BE(area.offset / 512, at + 40);
    bytes.writeUInt32BE(luks1Stripes, at + 44);
  });
  return bytes;
}

/** Where the slots of a new volume lie, and where its data may begin. Source: libcryptsetup's LUKS_generate_phdr. */
export function layOutLuks1(keySize: number): { areas: Luks1['areas']; end: number } {
  const alignment = 4096;
  const size = materialSize(keySize);
  const step = Math.ceil(size / alignment) * alignment;
  const areas = Array.from({ length: luks1Slots }, (_, slot) => ({ offset: alignment + slot * step, size }));
  return { areas, end: alignment + luks1Slots * step };
}

/** Bytes of a key's split material, in whole sectors. */
function materialSize(keySize: number): number {
  return Math.ceil((keySize * luks1Stripes) / 512) * 512;
}

/** The inverse of materialSize: sizes of keys are whole bytes, and 4000 stripes of one more are another sector. */
function keySizeOf(areas: Luks1['areas']): number {
  return Math.floor(areas[0]!.size / luks1Stripes);
}

function upTo31(value: string, what: string): string {
  if (value.length > 31)
    throw new LuksError('ENOTSUP', `${what} '${value}' is longer than LUKS1's 31 characters; use --type luks2`);
  return value;
}

/** No slot shares a byte with the header, another slot, or the data where that is on the same storage. */
function checkAreas(areas: Luks1['areas'], payload: number): void {
  const sorted = areas.map((area, slot) => ({ ...area, slot })).sort((a, b) => a.offset - b.offset);
  let before = { slot: -1, offset: 0, size: 1024 };
  for (const area of sorted) {
    if (area.offset < before.offset + before.size)
      throw invalid(`key slot ${area.slot} overlaps ${before.slot < 0 ? 'the header' : `key slot ${before.slot}`}`);
    before = area;
  }
  // Payload 0: the header is detached.
  if (payload !== 0 && before.offset + before.size > payload)
    throw invalid(`key slot ${before.slot} overlaps the data`);
}

function invalid(why: string): LuksError {
  return new LuksError('ENODEV', `LUKS1 header: ${why}`);
}
