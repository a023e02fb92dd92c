import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { LuksError } from './error.js';
import type { Metadata } from './metadata.js';
import { nodeHash } from './pbkdf.js';
import { binarySize, headerSizes, validateMetadata } from './validate.js';

/** One copy of a LUKS2 header. */
export interface Luks2Copy {
  /** Bytes of the copy, binary part and JSON area. */
  size: number;
  sequence: bigint;
  uuid: string;
  label: string;
  subsystem: string;
  metadata: Metadata;
  /** The JSON as it was written. */
  json: string;
}

export const luksMagic = Buffer.from('LUKS\xba\xbe', 'latin1');
const secondMagic = Buffer.from('SKUL\xba\xbe', 'latin1');

/** Offsets and sizes of the binary part, which is big-endian. Source: LUKS2 On-Disk Format Specification 1.1.3, section 2.1. */
const field = {
  version: 6,
  size: 8,
  sequence: 16,
  label: [24, 48],
  checksumName: [72, 32],
  salt: [104, 64],
  uuid: [168, 40],
  subsystem: [208, 48],
  offset: 256,
  checksum: [448, 64],
} as const;

/** The version of the header whose first bytes these are; undefined where there is none. */
export function versionOf(bytes: Buffer): number | undefined {
  return bytes.subarray(0, 6).equals(luksMagic) ? bytes.readUInt16BE(field.version) : undefined;
}

/**
 * The size that a copy's binary part claims, at `offset`, so that as much is read. `bytes`: its first 4096.
 * @throws LuksError ENODEV
 */
export function copySize(bytes: Buffer, offset: number): number {
  const magic = offset === 0 ? luksMagic : secondMagic;
  if (!bytes.subarray(0, 6).equals(magic)) throw invalid(offset, 'has no LUKS magic');
  const version = bytes.readUInt16BE(field.version);
  if (version !== 2) throw invalid(offset, `has version ${version}`);
  const size = Number(bytes.readBigUInt64BE(field.size));
  if (!headerSizes.includes(size)) throw invalid(offset, `has a size of ${size} bytes, which LUKS2 does not know`);
  const claimed = Number(bytes.readBigUInt64BE(field.offset));
  if (claimed !== offset || (offset !== 0 && offset !== size)) throw invalid(offset, `says it lies at ${claimed}`);
  return size;
}

/** Reads all of a copy, as long as copySize says. @throws LuksError ENODEV, ENOTSUP */
export function parseCopy(bytes: Buffer, offset: number): Luks2Copy {
  const name = string(bytes, field.checksumName);
  const hash = nodeHash(name);
  if (hash === undefined) throw invalid(offset, `has a checksum of unknown type ${JSON.stringify(name)}`);
  const digest = checksum(bytes, hash);
  const [at] = field.checksum;
  if (!timingSafeEqual(digest, bytes.subarray(at, at + digest.length))) throw invalid(offset, 'has a wrong checksum');
  const json = string(bytes, [binarySize, bytes.length - binarySize]);
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch (error) {
    throw new LuksError('ENODEV', `LUKS2 header at ${offset}: its metadata is no JSON`, { cause: error });
  }
  return {
    size: bytes.length,
    sequence: bytes.readBigUInt64BE(field.sequence),
    uuid: string(bytes, field.uuid),
    label: string(bytes, field.label),
    subsystem: string(bytes, field.subsystem),
    metadata: validateMetadata(parsed, bytes.length),
    json,
  };
}

/** Both copies, as they are written. @throws LuksError ENOSPC where the JSON does not fit */
export function formatCopies(header: Omit<Luks2Copy, 'json'>): { primary: Buffer; secondary: Buffer } {
  // A copy whose end is no zero byte would not be read.
  const json = Buffer.from(JSON.stringify(header.metadata));
  if (json.length >= header.size - binarySize)
    throw new LuksError(
      'ENOSPC',
      `the metadata takes ${json.length} bytes, and the header has ${header.size - binarySize}; ` +
        'remove key slots or tokens, or format with a larger --luks2-metadata-size',
    );
  const copy = (offset: number) => {
    const bytes = Buffer.alloc(header.size);
    (offset ? secondMagic : luksMagic).copy(bytes);
    bytes.writeUInt16BE(2, field.version);
    bytes.writeBigUInt64BE(BigInt(header.size), field.size);
    bytes.writeBigUInt64BE(header.sequence, field.sequence);
    bytes.write(header.label, field.label[0], field.label[1] - 1);
    bytes.write('sha256', field.checksumName[0]);
    randomBytes(field.salt[1]).copy(bytes, field.salt[0]);
    bytes.write(header.uuid, field.uuid[0], field.uuid[1] - 1);
    bytes.write(header.subsystem, field.subsystem[0], field.subsystem[1] - 1);
    bytes.writeBigUInt64BE(BigInt(offset), field.offset);
    json.copy(bytes, binarySize);
    checksum(bytes, 'sha256').copy(bytes, field.checksum[0]);
    return bytes;
  };
  return { primary: copy(0), secondary: copy(header.size) };
}

/** Over the whole copy, with zeroes where the checksum stands. */
function checksum(bytes: Buffer, hash: string): Buffer {
  const [at, size] = field.checksum;
  return createHash(hash)
    .update(bytes.subarray(0, at))
    .update(Buffer.alloc(size))
    .update(bytes.subarray(at + size))
    .digest();
}

function string(bytes: Buffer, [at, size]: readonly [number, number]): string {
  const all = bytes.subarray(at, at + size);
  const end = all.indexOf(0);
  return all.subarray(0, end < 0 ? size : end).toString('utf8');
}

function invalid(offset: number, why: string): LuksError {
  return new LuksError('ENODEV', `LUKS2 header at ${offset}: ${why}`);
}
