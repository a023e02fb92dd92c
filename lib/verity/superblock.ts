import { checkBytes, wrongSize } from '../base/bytes.js';
import { VerityError } from './error.js';

/** Format 0 is Chrome OS's original one (salt last, digests packed), 1 the normal one. */
export type HashType = 0 | 1;

/** What the first 512 bytes of a hash area say. The root hash is not in it: it is what the user trusts. */
export interface Superblock {
  uuid: string;
  hashType: HashType;
  /** The kernel's name, lower case: 'sha256'. */
  hash: string;
  /** Bytes, a power of two. */
  dataBlockSize: number;
  hashBlockSize: number;
  dataBlocks: number;
  /** Up to 256 bytes. */
  salt: Uint8Array;
}

/** Bytes. */
export const superblockSize = 512;
export const maxSaltSize = 256;

export const noSignature = 'No VERITY signature.';
const signature = Buffer.from('verity\0\0', 'latin1');
const field = { version: 8, hashType: 12, uuid: 16, hash: 32, dataBlockSize: 64, hashBlockSize: 68 } as const;
const tail = { dataBlocks: 72, saltSize: 80, salt: 88 } as const;
const uuidSize = 16;
export const uuidDetail = 'expected hex digits in groups of 8, 4, 4, 4 and 12';
const hashNameSize = 32;
const maxBlockSize = 512 * 1024;

/**
 * Reads a superblock: 512 bytes, little endian (veritysetup's own; the kernel never looks at it).
 * @throws VerityError: no superblock, or one that says what cannot be
 */
export function parseSuperblock(bytes: Uint8Array): Superblock {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < superblockSize || !view.subarray(0, signature.length).equals(signature))
    throw new VerityError(noSignature);
  const version = view.readUInt32LE(field.version);
  if (version !== 1) throw new VerityError(`Unsupported VERITY version ${version}.`);
  const hashType = checkHashType(view.readUInt32LE(field.hashType));
  const dataBlockSize = view.readUInt32LE(field.dataBlockSize);
  const hashBlockSize = view.readUInt32LE(field.hashBlockSize);
  checkBlockSizes(dataBlockSize, hashBlockSize);
  const hash = parseHashName(view.subarray(field.hash, field.hash + hashNameSize));
  const saltSize = view.readUInt16LE(tail.saltSize);
  if (saltSize > maxSaltSize) throw new VerityError('VERITY header corrupted.');
  const dataBlocks = view.readBigUInt64LE(tail.dataBlocks);
  return {
    uuid: formatUuid(view.subarray(field.uuid, field.uuid + uuidSize)),
    hashType,
    hash,
    dataBlockSize,
    hashBlockSize,
    dataBlocks: checkArea(dataBlocks, dataBlockSize),
    salt: Uint8Array.prototype.slice.call(view, tail.salt, tail.salt + saltSize),
  };
}

/** Writes a superblock. @throws VerityError, RangeError for what does not fit in it */
export function formatSuperblock(superblock: Superblock): Buffer {
  const { hashType, hash, dataBlockSize, hashBlockSize, dataBlocks, salt } = superblock;
  checkHashType(hashType);
  checkBlockSizes(dataBlockSize, hashBlockSize);
  checkBytes('salt', salt);
  if (salt.length > maxSaltSize) throw wrongSize('salt', `at most ${maxSaltSize} bytes`, salt.length);
  const bytes = Buffer.alloc(superblockSize);
  signature.copy(bytes);
  bytes.writeUInt32LE(1, field.version);
  bytes.writeUInt32LE(hashType, field.hashType);
  parseUuid(superblock.uuid).copy(bytes, field.uuid);
  const name = Buffer.from(hash.toLowerCase(), 'latin1');
  if (name.length >= hashNameSize) throw wrongSize('hash', `a name of less than ${hashNameSize} bytes`, name.length);
  name.copy(bytes, field.hash);
  bytes.writeUInt32LE(dataBlockSize, field.dataBlockSize);
  bytes.writeUInt32LE(hashBlockSize, field.hashBlockSize);
  bytes.writeBigUInt64LE(BigInt(checkArea(BigInt(dataBlocks), dataBlockSize)), tail.dataBlocks);
  bytes.writeUInt16LE(salt.length, tail.saltSize);
  bytes.set(salt, tail.salt);
  return bytes;
}

/** @throws VerityError in veritysetup's words */
export function checkHashType(hashType: number): HashType {
  if (hashType !== 0 && hashType !== 1)
    throw new VerityError(
      `Unsupported VERITY hash type ${hashType}.`,
      'EINVAL',
      'expected 1, or 0 for the format of Chrome OS',
    );
  return hashType;
}

/** A block is a power of two from 512 bytes to 512 KiB. @throws VerityError in veritysetup's words */
export function checkBlockSizes(...sizes: number[]): void {
  const good = (size: number) => size >= 512 && size <= maxBlockSize && Math.log2(size) % 1 === 0;
  const wrong = sizes.find((size) => !good(size));
  if (wrong === undefined) return;
  const detail = `expected blocks of a power of two from 512 to ${maxBlockSize} bytes, got ${wrong}`;
  throw new VerityError('Unsupported VERITY block size.', 'EINVAL', detail);
}

/** Blocks whose bytes can be counted. @throws VerityError in veritysetup's words */
export function checkArea(blocks: bigint, blockSize: number): number {
  if (blocks < 0n || blocks * BigInt(blockSize) > BigInt(Number.MAX_SAFE_INTEGER))
    throw new VerityError('Device offset overflow.', 'EINVAL', `${blocks} blocks of ${blockSize} bytes are too many`);
  return Number(blocks);
}

/** Sixteen bytes of a UUID as text. @throws VerityError */
export function parseUuid(uuid: string): Buffer {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid))
    throw new VerityError('Wrong VERITY UUID format.', 'EINVAL', uuidDetail);
  return Buffer.from(uuid.replaceAll('-', ''), 'hex');
}

function formatUuid(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** A name in its 32 bytes: it ends within them. */
function parseHashName(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  const name = bytes.toString('latin1', 0, Math.max(end, 0));
  if (!/^[\x21-\x7e]+$/.test(name)) throw new VerityError('VERITY header corrupted.');
  return name.toLowerCase();
}
