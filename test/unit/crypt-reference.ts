import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';

/** One way through dm-crypt, in formulas with bigints and one sector at a time: nothing here is shared with lib. */
export interface Volume {
  /** libcrypto's cipher of a key's size in bytes: (32) => 'aes-256-cbc'. */
  evp(keySize: number): string;
  /** The same in ECB, for what IV modes encrypt for themselves. */
  ecb(keySize: number): string;
  iv: string;
  key: Buffer;
  keyCount: number;
  sectorSize: number;
  large: boolean;
  ivOffset: bigint;
}

const le = (value: bigint, size = 16) => {
  const bytes = Buffer.alloc(size);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
};
const be = (value: bigint) => {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value), 8);
  return bytes;
};
const xor = (a: Buffer, b: Buffer) => Buffer.from(a.map((byte, i) => byte ^ b[i % b.length]!));
function run(name: string, key: Buffer, iv: Buffer | null, data: Buffer, encrypt: boolean): Buffer {
  const cipher = (encrypt ? createCipheriv : createDecipheriv)(name, key, iv).setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

/** Bytes of sectors from `first` (512-byte units) on. */
export function reference(volume: Volume, encrypt: boolean, first: bigint, data: Buffer): Buffer {
  const out: Buffer[] = [];
  const step = BigInt(volume.sectorSize / 512);
  for (let at = 0, cc = first + volume.ivOffset; at < data.length; at += volume.sectorSize, cc += step)
    out.push(oneSector(volume, encrypt, BigInt.asUintN(64, cc), data.subarray(at, at + volume.sectorSize)));
  return Buffer.concat(out);
}

function oneSector(volume: Volume, encrypt: boolean, cc: bigint, data: Buffer): Buffer {
  const { evp, ecb, iv, key, keyCount, sectorSize, large } = volume;
  const s = large ? cc / BigInt(sectorSize / 512) : cc;
  const tail =
    iv === 'tcw'
      ? 32
      : iv === 'elephant'
        ? key.length / 2
        : iv === 'lmk'
          ? key.length % keyCount && key.length / 65
          : 0;
  const size = (key.length - tail) / keyCount;
  const index = Number(cc % BigInt(keyCount));
  const own = key.subarray(index * size, (index + 1) * size);
  const extra = key.subarray(key.length - tail);
  const cipher = (vector: Buffer, bytes: Buffer) => run(evp(size), own, vector, bytes, encrypt);
  const offset = le(s * BigInt(sectorSize));
  const ebo = () => run(ecb(size), key.subarray(0, size), null, offset, true);
  const [mode, digest = ''] = iv.split(':');
  switch (mode) {
    case 'plain':
      return cipher(le(s & 0xffffffffn), data);
    case 'plain64':
      return cipher(le(s), data);
    case 'plain64be':
      return cipher(be(s), data);
    case 'null':
      return cipher(le(0n), data);
    case 'benbi':
      return cipher(be(s * 32n + 1n), data);
    case 'essiv': {
      const salt = createHash(digest).update(own).digest();
      return cipher(run(ecb(salt.length), salt, null, le(s), true), data);
    }
    case 'eboiv':
      return cipher(ebo(), data);
    case 'elephant': {
      const second = Buffer.from(offset);
      second[15] = 0x80;
      const stream = run(`aes-${tail * 8}-ecb`, extra, null, Buffer.concat([offset, second]), true);
      return encrypt ? cipher(ebo(), undiffuse(xor(data, stream))) : xor(diffuse(cipher(ebo(), data)), stream);
    }
    case 'tcw': {
      const white = xor(extra.subarray(16), le(s, 8));
      const crc = [0, 1, 2, 3].map((i) => crc32(white.subarray(i * 4, i * 4 + 4)));
      const mask = Buffer.alloc(8);
      mask.writeUInt32LE((crc[0]! ^ crc[3]!) >>> 0, 0);
      mask.writeUInt32LE((crc[1]! ^ crc[2]!) >>> 0, 4);
      const vector = xor(extra.subarray(0, 16), le(s, 8));
      return encrypt ? xor(cipher(vector, data), mask) : cipher(vector, xor(data, mask));
    }
    default:
      throw new Error(`no formula for ${iv}`);
  }
}

/** Bit by bit: x^32 + ..., reflected, from 0, nothing inverted. */
function crc32(bytes: Buffer): number {
  let crc = 0;
  for (const byte of bytes)
    for (let bit = 0; bit < 8; bit++) {
      const carry = (crc ^ (byte >> bit)) & 1;
      crc = (crc >>> 1) ^ (carry ? 0xedb88320 : 0);
    }
  return crc >>> 0;
}

// Ferguson, "AES-CBC + Elephant diffuser" (2006), 4.4: decryption, and its inverse step by step.
const rotate = (x: number, by: number) => ((x << by) | (by ? x >>> (32 - by) : 0)) >>> 0;
const ra = [9, 0, 13, 0];
const rb = [0, 10, 0, 25];
function words(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(i * 4));
}
function toBytes(values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, i * 4);
  return bytes;
}
function diffuse(bytes: Buffer): Buffer {
  const d = words(bytes);
  const n = d.length;
  for (let i = 0; i < 3 * n; i++)
    d[i % n] = (d[i % n]! + ((d[(i + 2) % n]! ^ rotate(d[(i + 5) % n]!, rb[i % 4]!)) >>> 0)) >>> 0;
  for (let i = 0; i < 5 * n; i++)
    d[i % n] = (d[i % n]! + ((d[(i + n - 2) % n]! ^ rotate(d[(i + n - 5) % n]!, ra[i % 4]!)) >>> 0)) >>> 0;
  return toBytes(d);
}
function undiffuse(bytes: Buffer): Buffer {
  const d = words(bytes);
  const n = d.length;
  for (let i = 5 * n - 1; i >= 0; i--)
    d[i % n] = (d[i % n]! - ((d[(i + n - 2) % n]! ^ rotate(d[(i + n - 5) % n]!, ra[i % 4]!)) >>> 0)) >>> 0;
  for (let i = 3 * n - 1; i >= 0; i--)
    d[i % n] = (d[i % n]! - ((d[(i + 2) % n]! ^ rotate(d[(i + 5) % n]!, rb[i % 4]!)) >>> 0)) >>> 0;
  return toBytes(d);
}
