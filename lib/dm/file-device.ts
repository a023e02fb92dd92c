import { fdatasync, read, write } from 'node:fs';
import { type FileHandle, open, readFile, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Bio, sectorSize } from './bio.js';
import { TableError } from './table-error.js';
import type { BlockDevice } from './target.js';

/** Bytes that one system call is asked for at most, and the zeroes that a discard writes at a time. */
const maxCall = 1 << 20;
const zeroes = Buffer.alloc(maxCall);

type Transfer = (fd: number, bytes: Uint8Array, at: number, length: number, position: number, done: Done) => void;
type Done = (error: NodeJS.ErrnoException | null, count: number) => void;

/**
 * A regular file or a block device, through the page cache. A file ends with its last whole sector. A discard makes a regular file's sectors
 * zeroes, which is what a loop device's hole reads as; a block device has none here.
 */
export class FileDevice implements BlockDevice {
  readonly blockSize = sectorSize;

  private constructor(
    readonly path: string,
    readonly sectors: number,
    readonly discards: boolean,
    readonly readOnly: boolean,
    readonly handle: FileHandle,
    /** A block device's `major:minor`. */
    readonly numbers: string | undefined,
  ) {}

  /** A block device may be named by its numbers, too. @throws TableError `Device lookup failed` with the system's reason */
  static async open(spec: string, argument: number, readOnly: boolean): Promise<FileDevice> {
    const refuse = (hint: string, code: string, cause?: unknown) =>
      new TableError('Device lookup failed', { argument, value: spec, code, hint }, { cause });
    const fail = (error: NodeJS.ErrnoException) => {
      throw refuse(error.message, error.code ?? 'EIO', error);
    };
    const path = /^\d+:\d+$/.test(spec) ? await nodeOf(spec).catch(fail) : spec;
    const handle = await open(path, readOnly ? 'r' : 'r+').catch(fail);
    try {
      const stat = await handle.stat();
      if (!stat.isFile() && !stat.isBlockDevice()) throw refuse('it is no regular file and no block device', 'ENOTBLK');
      const sectors = stat.isFile() ? Math.floor(stat.size / sectorSize) : await blockDeviceSectors(path);
      const numbers = stat.isFile() ? undefined : formatNumbers(BigInt(stat.rdev));
      return new FileDevice(path, sectors, stat.isFile(), readOnly, handle, numbers);
    } catch (error) {
      await handle.close();
      if (error instanceof TableError) throw error;
      throw refuse((error as Error).message, (error as NodeJS.ErrnoException).code ?? 'EIO', error);
    }
  }

  submit(bio: Bio): void {
    if (bio.op === 'flush') this.#sync(bio);
    else if (bio.sector + bio.sectors > this.sectors) bio.end('EIO');
    else if (bio.op === 'read') this.#transfer(bio, read as Transfer, bio.bytes, 0);
    else if (this.readOnly) bio.end('EROFS');
    else if (bio.op === 'write') this.#transfer(bio, write as Transfer, bio.bytes, 0);
    else if (this.discards) this.#transfer(bio, write as Transfer, undefined, 0);
    else bio.end('EOPNOTSUPP');
  }

  /** Moves the bytes from `done` on; without bytes, zeroes. */
  #transfer(bio: Bio, call: Transfer, bytes: Uint8Array | undefined, done: number): void {
    const total = bio.sectors * sectorSize;
    if (done === total) {
      if (bio.fua) this.#sync(bio);
      else bio.end();
      return;
    }
    const length = Math.min(total - done, maxCall);
    const position = bio.sector * sectorSize + done;
    call(this.handle.fd, bytes ?? zeroes, bytes ? done : 0, length, position, (error, count) => {
      if (!error && count > 0) return this.#transfer(bio, call, bytes, done + count);
      // Nothing read and no error: the file has become shorter.
      const first = Math.floor(done / sectorSize);
      bio.end({ code: error?.code ?? 'EIO', failed: [{ first, count: bio.sectors - first }] });
    });
  }

  #sync(bio: Bio): void {
    fdatasync(this.handle.fd, (error) => bio.end(error ? (error.code ?? 'EIO') : null));
  }

  /** As the kernel prints it: a block device by its numbers. */
  describe(): string {
    return this.numbers ?? this.path;
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** fstat says 0 for a block device; sysfs knows, in sectors of 512 bytes. */
async function blockDeviceSectors(path: string): Promise<number> {
  return Number(await readFile(`/sys/class/block/${basename(await realpath(path))}/size`, 'utf8'));
}

/** The node in /dev of a block device's `major:minor`. */
async function nodeOf(numbers: string): Promise<string> {
  return `/dev/${basename(await realpath(`/sys/dev/block/${numbers}`))}`;
}

/** `major:minor` of a device, as glibc's <sys/sysmacros.h> packs them. */
export function formatNumbers(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
