import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Said {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** The oracle: Debian's cryptsetup-bin. It needs no device-mapper for format, verify and dump. */
export function veritysetup(folder: string, args: string[]): Said {
  const path = `${process.env['PATH']}:/usr/sbin:/sbin`;
  const { status, stdout, stderr, error } = spawnSync('veritysetup', args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: path, LC_ALL: 'C' },
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** Skips, by name and reason, where it is not installed. */
export function needVeritysetup(context: Mocha.Context): void {
  const path = `${process.env['PATH']}:/usr/sbin:/sbin`;
  const found = spawnSync('veritysetup', ['--version'], { env: { ...process.env, PATH: path } });
  if (!found.error) return;
  context.test!.title += ' (veritysetup is not installed: cryptsetup-bin)';
  context.skip();
}

export function inVerityFolder(test: (folder: string) => Promise<void>): (this: Mocha.Context) => Promise<void> {
  return async function () {
    needVeritysetup(this);
    const folder = mkdtempSync(join(tmpdir(), 'dmalg-verity-'));
    try {
      await test(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

/** Bytes that differ from block to block, the same each time. */
export function fill(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  const random = generator(seed);
  let at = 0;
  for (; at + 4 <= length; at += 4) bytes.writeUInt32LE(random(), at);
  for (; at < length; at++) bytes[at] = random();
  return bytes;
}

/** Whole numbers below 2^32 (xorshift32). */
export function generator(seed: number): () => number {
  let state = seed * 2654435761 + 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

export function sparseFile(path: string, size: number, parts: [position: number, bytes: Uint8Array][] = []): void {
  writeFileSync(path, '');
  const fd = openSync(path, 'r+');
  ftruncateSync(fd, size);
  for (const [position, bytes] of parts) writeSync(fd, bytes, 0, bytes.length, position);
  closeSync(fd);
}

/** Changes a byte of a file to another one. */
export function breakByte(path: string, position: number): void {
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, position);
  byte[0]! ^= 0x55;
  writeSync(fd, byte, 0, 1, position);
  closeSync(fd);
}
