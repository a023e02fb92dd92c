import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LuksFormat, makeHeader, makeVolumeKey, writeNewVolume } from '../../lib/luks/format.js';
import type { HeaderStorage } from '../../lib/luks/header.js';
import type { Pbkdf } from '../../lib/luks/pbkdf.js';
import { needVeritysetup } from './veritysetup.js';

export interface Said {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** The oracle. It formats, dumps and tests passphrases of files without device-mapper, for ciphers that AF_ALG need not help with. */
export function cryptsetup(folder: string, args: string[], input = ''): Said {
  const path = `${process.env['PATH']}:/usr/sbin:/sbin`;
  const { status, stdout, stderr, error } = spawnSync('cryptsetup', args, {
    cwd: folder,
    encoding: 'utf8',
    input,
    env: { ...process.env, PATH: path, LC_ALL: 'C' },
  });
  if (error) throw error;
  return { status, stdout, stderr };
}

/** Whether cryptsetup finds a passphrase right, in which slot; without `slot` any. */
export function opensWith(folder: string, image: string, passphrase: string, options: string[] = []): number | null {
  writeFileSync(join(folder, 'tried'), passphrase);
  const said = cryptsetup(folder, ['open', '--test-passphrase', '-v', '--key-file', 'tried', ...options, image]);
  const [, slot] = /Key slot (\d+) unlocked/.exec(said.stdout) ?? [];
  return said.status === 0 ? Number(slot) : null;
}

/** Runs a test in a folder of its own, where cryptsetup is installed. */
export function inLuksFolder(test: (folder: string) => Promise<void>): (this: Mocha.Context) => Promise<void> {
  return async function () {
    needVeritysetup(this);
    const folder = mkdtempSync(join(tmpdir(), 'dmalg-luks-'));
    try {
      await test(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
}

/** Costs that tests can afford. */
export const cheap = {
  pbkdf2: { type: 'pbkdf2', hash: 'sha256', iterations: 1000 },
  argon2i: { type: 'argon2i', passes: 4, kibibytes: 64, lanes: 1 },
  argon2id: { type: 'argon2id', passes: 4, kibibytes: 128, lanes: 2 },
} as const satisfies Record<string, Pbkdf>;

/** The same for cryptsetup, which refuses fewer iterations than these. */
export const cheapOptions: Record<keyof typeof cheap, string[]> = {
  pbkdf2: ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'],
  argon2i: ['--pbkdf', 'argon2i', '--pbkdf-force-iterations', '4', '--pbkdf-memory', '64', '--pbkdf-parallel', '1'],
  argon2id: ['--pbkdf', 'argon2id', '--pbkdf-force-iterations', '4', '--pbkdf-memory', '128', '--pbkdf-parallel', '2'],
};

/** A header's storage in memory, which counts what is written. */
export class MemoryStorage implements HeaderStorage {
  bytes: Buffer;
  constructor(size: number | Buffer) {
    this.bytes = typeof size === 'number' ? Buffer.alloc(size) : size;
  }
  get size(): number {
    return this.bytes.length;
  }
  async read(into: Uint8Array, position: number): Promise<void> {
    if (position < 0 || position + into.length > this.size) throw new Error(`read of ${into.length} at ${position}`);
    into.set(this.bytes.subarray(position, position + into.length));
  }
  async write(from: Uint8Array, position: number): Promise<void> {
    if (position < 0 || position + from.length > this.size) throw new Error(`write of ${from.length} at ${position}`);
    this.bytes.set(from, position);
  }
  async flush(): Promise<void> {}
  describe(): string {
    return 'memory';
  }
}

/** A new volume in `storage` with the passphrase 'secret' in slot 0: its volume key. */
export async function formatCheaply(
  storage: HeaderStorage,
  format: Omit<LuksFormat, 'dataSize'>,
  pbkdf: Pbkdf = cheap.pbkdf2,
): Promise<Buffer> {
  const whole = { dataSize: storage.size, digestTime: 1, ...format };
  const key = makeVolumeKey(whole);
  const header = await makeHeader(whole, key);
  await writeNewVolume(storage, header, { key, passphrase: Buffer.from('secret'), pbkdf });
  return key;
}

/** A file as a header's storage. */
export async function fileStorage(path: string): Promise<HeaderStorage & { close(): Promise<void> }> {
  const file: FileHandle = await open(path, 'r+');
  const { size } = await file.stat();
  return {
    size,
    read: async (into, position) => {
      const { bytesRead } = await file.read(into, 0, into.length, position);
      if (bytesRead !== into.length) throw new Error(`${path} ends at ${position + bytesRead}`);
    },
    write: async (from, position) => void (await file.write(from, 0, from.length, position)),
    flush: () => file.sync(),
    describe: () => path,
    close: () => file.close(),
  };
}
