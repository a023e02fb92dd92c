import { LuksError } from './error.js';
import type { Config, Digest, Kdf, Keyslot, KeyslotArea, Metadata, Segment, Stretch, Token } from './metadata.js';

/** Bytes of one copy of a LUKS2 header: 4 KiB in binary, and the JSON area. */
export const headerSizes = Array.from({ length: 9 }, (_, index) => 0x4000 << index);
export const binarySize = 4096;
/** libcryptsetup's LUKS2_MAX_KEYSLOTS_SIZE, and the numbers of objects it takes (LUKS2_KEYSLOTS_MAX and so on). */
export const maxKeyslotsSize = 128 << 20;
export const maxSlots = 32;
const maxObjects = 32;
/** libcryptsetup's LUKS2_MAX_VOLUME_KEY_SIZE... a key of 512 bytes with LUKS_STRIPES stripes is 2 MB of material. */
export const maxKeySize = 512;
const maxStripes = 4000;

/**
 * Checks JSON from a LUKS2 header, which anybody may have written, and returns it as Metadata. Fields that are not known stay, so
 * that they are written back as they were.
 * Source: libcryptsetup's LUKS2_hdr_validate. @throws LuksError ENODEV, naming the field
 */
export function validateMetadata(json: unknown, headerSize: number): Metadata {
  const root = object(json, 'metadata');
  const metadata = {
    ...root,
    keyslots: objects(root['keyslots'], 'keyslots', checkKeyslot),
    tokens: objects(root['tokens'], 'tokens', checkToken),
    segments: objects(root['segments'], 'segments', checkSegment),
    digests: objects(root['digests'], 'digests', checkDigest),
    config: checkConfig(root['config'], headerSize),
  } as Metadata;
  checkReferences(metadata);
  checkAreas(metadata, headerSize);
  checkSegments(metadata);
  return metadata;
}

function fail(path: string, why: string): never {
  throw new LuksError('ENODEV', `LUKS2 header: ${path} ${why}`);
}

type Fields = Record<string, unknown>;

function object(value: unknown, path: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(path, 'is no object');
  return value as Fields;
}

/** An object whose members are named by numbers: keyslots, tokens, segments, digests. */
function objects<T>(value: unknown, path: string, check: (member: Fields, path: string) => T): Record<string, T> {
  const members = Object.entries(object(value, path));
  if (members.length > maxObjects) fail(path, `has ${members.length} members; ${maxObjects} are allowed`);
  return Object.fromEntries(
    members.map(([name, member]) => {
      if (!/^(0|[1-9]\d?)$/.test(name) || Number(name) >= maxObjects)
        fail(`${path}.${printable(name)}`, `is no number below ${maxObjects}`);
      return [name, check(object(member, `${path}.${name}`), `${path}.${name}`)];
    }),
  );
}

function text(fields: Fields, name: string, path: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(value)) fail(`${path}.${name}`, 'is no text');
  return value;
}

function integer(fields: Fields, name: string, path: string, least: number, most: number): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most)
    fail(`${path}.${name}`, `is not a number from ${least} to ${most}`);
  return value;
}

/** A string of digits, as LUKS2 writes 64-bit numbers. */
function digits(fields: Fields, name: string, path: string, multiple = 1): number {
  const value = fields[name];
  if (typeof value !== 'string' || !/^\d{1,19}$/.test(value) || !Number.isSafeInteger(Number(value)))
    fail(`${path}.${name}`, 'is no string of digits below 2^53');
  if (Number(value) % multiple) fail(`${path}.${name}`, `is no multiple of ${multiple}`);
  return Number(value);
}

function base64(fields: Fields, name: string, path: string): void {
  const value = fields[name];
  if (
    typeof value !== 'string' ||
    value.length > 8192 ||
    !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(value)
  )
    fail(`${path}.${name}`, 'is no base64');
}

function numbers(fields: Fields, name: string, path: string): string[] {
  const value = fields[name];
  const right = (each: unknown) => typeof each === 'string' && /^\d{1,2}$/.test(each);
  if (!Array.isArray(value) || value.length > maxObjects || !value.every(right))
    fail(`${path}.${name}`, 'is no list of numbers');
  return value as string[];
}

function words(fields: Fields, name: string, path: string): void {
  const value = fields[name];
  if (value === undefined) return;
  if (!Array.isArray(value) || value.length > 64 || !value.every((each) => typeof each === 'string'))
    fail(`${path}.${name}`, 'is no list of words');
}

function checkKeyslot(fields: Fields, path: string): Keyslot {
  const type = text(fields, 'type', path);
  integer(fields, 'key_size', path, type === 'reencrypt' ? 0 : 1, maxKeySize);
  checkArea(object(fields['area'], `${path}.area`), `${path}.area`);
  if (fields['priority'] !== undefined) integer(fields, 'priority', path, 0, 2);
  if (type === 'luks2') {
    const af = object(fields['af'], `${path}.af`);
    if (text(af, 'type', `${path}.af`) !== 'luks1') fail(`${path}.af.type`, 'is not luks1');
    text(af, 'hash', `${path}.af`);
    integer(af, 'stripes', `${path}.af`, maxStripes, maxStripes);
    checkKdf(object(fields['kdf'], `${path}.kdf`), `${path}.kdf`);
    const area = fields['area'] as KeyslotArea;
    if (area.type !== 'raw') fail(`${path}.area.type`, 'is not raw');
    const needed = (fields['key_size'] as number) * maxStripes;
    if (Number(area.size) < Math.ceil(needed / 512) * 512) fail(`${path}.area.size`, `is below ${needed}`);
  }
  return fields as unknown as Keyslot;
}

function checkArea(fields: Fields, path: string): void {
  const type = text(fields, 'type', path);
  digits(fields, 'offset', path, 4096);
  digits(fields, 'size', path, 4096);
  if (type !== 'raw') return;
  text(fields, 'encryption', path);
  integer(fields, 'key_size', path, 1, maxKeySize);
}

function checkKdf(fields: Fields, path: string): Kdf {
  const type = text(fields, 'type', path);
  base64(fields, 'salt', path);
  const uint32 = 2 ** 32 - 1;
  if (type === 'pbkdf2') {
    text(fields, 'hash', path);
    integer(fields, 'iterations', path, 1, uint32);
  } else if (type === 'argon2i' || type === 'argon2id') {
    for (const name of ['time', 'memory', 'cpus']) integer(fields, name, path, 1, uint32);
  } else fail(`${path}.type`, `is ${type}: none of pbkdf2, argon2i, argon2id`);
  return fields as unknown as Kdf;
}

function checkToken(fields: Fields, path: string): Token {
  text(fields, 'type', path);
  numbers(fields, 'keyslots', path);
  return fields as Token;
}

function checkSegment(fields: Fields, path: string): Segment {
  const type = text(fields, 'type', path);
  digits(fields, 'offset', path, 512);
  if (fields['size'] !== 'dynamic' && digits(fields, 'size', path, 512) === 0) fail(`${path}.size`, 'is 0');
  words(fields, 'flags', path);
  if (type === 'crypt') {
    text(fields, 'encryption', path);
    digits(fields, 'iv_tweak', path);
    const sectorSize = integer(fields, 'sector_size', path, 512, 4096);
    if (![512, 1024, 2048, 4096].includes(sectorSize)) fail(`${path}.sector_size`, 'is not 512, 1024, 2048 or 4096');
    if (fields['size'] !== 'dynamic') digits(fields, 'size', path, sectorSize);
    if (fields['integrity'] !== undefined)
      text(object(fields['integrity'], `${path}.integrity`), 'type', `${path}.integrity`);
  }
  return fields as unknown as Segment;
}

function checkDigest(fields: Fields, path: string): Digest {
  const type = text(fields, 'type', path);
  numbers(fields, 'keyslots', path);
  numbers(fields, 'segments', path);
  if (type === 'pbkdf2') {
    text(fields, 'hash', path);
    integer(fields, 'iterations', path, 1, 2 ** 32 - 1);
    base64(fields, 'salt', path);
    base64(fields, 'digest', path);
    if (Buffer.from(fields['digest'] as string, 'base64').length < 16) fail(`${path}.digest`, 'is too short');
  }
  return fields as unknown as Digest;
}

function checkConfig(value: unknown, headerSize: number): Config {
  const fields = object(value, 'config');
  if (digits(fields, 'json_size', 'config') !== headerSize - binarySize)
    fail('config.json_size', `is not ${headerSize - binarySize}`);
  if (fields['keyslots_size'] !== undefined && digits(fields, 'keyslots_size', 'config', 4096) > maxKeyslotsSize)
    fail('config.keyslots_size', `is above ${maxKeyslotsSize}`);
  words(fields, 'flags', 'config');
  if (fields['requirements'] !== undefined)
    words(object(fields['requirements'], 'config.requirements'), 'mandatory', 'config.requirements');
  return fields as unknown as Config;
}

function checkReferences({ keyslots, segments, digests, tokens }: Metadata): void {
  const each = (path: string, names: string[], members: Record<string, unknown>, kind: string) => {
    for (const name of names)
      if (!Object.hasOwn(members, name)) fail(path, `names ${kind} ${name}, which does not exist`);
  };
  for (const [number, digest] of Object.entries(digests)) {
    each(`digests.${number}.keyslots`, digest.keyslots, keyslots, 'keyslot');
    each(`digests.${number}.segments`, digest.segments, segments, 'segment');
  }
  for (const [number, token] of Object.entries(tokens))
    each(`tokens.${number}.keyslots`, token.keyslots, keyslots, 'keyslot');
}

/** Key material lies behind both copies of the header, within keyslots_size, and no two slots share a byte. */
function checkAreas({ keyslots, config }: Metadata, headerSize: number): void {
  const end = config.keyslots_size === undefined ? maxKeyslotsSize : 2 * headerSize + Number(config.keyslots_size);
  const areas: (Stretch & { slot: string })[] = Object.entries(keyslots).map(([slot, { area }]) => ({
    slot,
    offset: Number(area.offset),
    size: Number(area.size),
  }));
  areas.sort((a, b) => a.offset - b.offset);
  let before = { slot: '', offset: 0, size: 2 * headerSize };
  for (const area of areas) {
    const path = `keyslots.${area.slot}.area`;
    if (area.offset < before.offset + before.size)
      fail(path, before.slot ? `overlaps keyslot ${before.slot}` : 'overlaps the header');
    if (area.offset + area.size > end) fail(path, `ends at ${area.offset + area.size}, beyond ${end}`);
    before = area;
  }
}

/** Segments follow one another from number 0 on; those that are backups may lie anywhere. */
function checkSegments({ segments }: Metadata): void {
  const data = Object.entries(segments)
    .filter(([, { flags }]) => !flags?.some((flag) => flag.startsWith('backup-')))
    .sort(([a], [b]) => Number(a) - Number(b));
  data.forEach(([number, segment], index) => {
    if (Number(number) !== index) fail(`segments.${number}`, `stands where segment ${index} is expected`);
    const next = data[index + 1]?.[1];
    if (next === undefined) return;
    if (segment.size === 'dynamic') fail(`segments.${number}.size`, 'is dynamic, and it is not the last');
    if (Number(segment.offset) + Number(segment.size) > Number(next.offset))
      fail(`segments.${number}`, 'overlaps the next segment');
  });
}

function printable(name: string): string {
  return JSON.stringify(name.slice(0, 32));
}
