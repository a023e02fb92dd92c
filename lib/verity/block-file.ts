import type { Stats } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { binding } from '../base/binding.js';
import { NewFile } from '../base/new-file.js';
import { blockDeviceSize, deviceNumbers } from '../dm/block-numbers.js';
import { leadingHole } from '../dm/file-extent.js';
import { isSameFile } from '../dm/same-file.js';
import { isFull, VerityError } from './error.js';
import { superblockSize } from './superblock.js';

/**
 * The data or the hash area's file: a regular file or a block device. A new one has its name from
 * commit() on, so that an error or a kill leaves no half of a tree under the name asked for; what exists is written in place,
 * as veritysetup does, since it may hold more than the tree.
 */
export class BlockFile {
  readonly path: string;
  /** Bytes; of a new file, what has been written does not count. */
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #stat: Stats;
  #new: NewFile | undefined;

  private constructor(path: string, handle: FileHandle, stat: Stats, size: number, created?: NewFile) {
    this.path = path;
    this.#handle = handle;
    this.#stat = stat;
    this.size = size;
    this.#new = created;
  }

  /** Opens what is there. @throws VerityError in veritysetup's words */
  static async open(path: string, mode: 'r' | 'r+' = 'r'): Promise<BlockFile> {
    const handle = await open(path, mode).catch((cause: NodeJS.ErrnoException) => {
      const incompatible = cause.code === 'EISDIR';
      const words = incompatible ? 'is not compatible.' : 'does not exist or access denied.';
      throw new VerityError(`Device ${path} ${words}`, 'ENODEV', cause.message, { cause });
    });
    try {
      const stat = await handle.stat();
      if (!stat.isFile() && !stat.isBlockDevice())
        throw new VerityError(
          `Device ${path} is not compatible.`,
          'ENODEV',
          'it is no regular file and no block device',
        );
      return new BlockFile(
        path,
        handle,
        stat,
        stat.isFile() ? stat.size : await blockDeviceSize(deviceNumbers(BigInt(stat.rdev))),
      );
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Opens what is there for writing in place, or begins a new file. @throws VerityError in veritysetup's words */
  static async create(path: string): Promise<BlockFile> {
    const target = await realpath(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw cannotCreate(path, error);
    });
    if (target !== undefined) return BlockFile.open(path, 'r+');
    const created = await NewFile.create(path, 0o600).catch((error) => {
      throw cannotCreate(path, error);
    });
    try {
      return new BlockFile(path, created.handle, await created.handle.stat(), 0, created);
    } catch (error) {
      await created.close();
      throw cannotCreate(path, error as Error);
    }
  }

  get isNew(): boolean {
    return this.#new !== undefined;
  }

  /** Whether it is the same file or device. */
  isSame(other: BlockFile): boolean {
    return isSameFile(this.#stat, other.#stat);
  }

  /** Whether nothing lies in these bytes, so that they are zeroes and need not be read. */
  isHole(position: number, length: number): boolean {
    return this.#stat.isFile() && leadingHole(this.#handle.fd, position, length) === length;
  }

  /** Fills the bytes. @throws VerityError EIO where the file ends too soon; the system's error */
  async read(into: Uint8Array, position: number): Promise<void> {
    // What the page cache has is here sooner than another thread could be asked for it; an error comes again, where it can be told.
    const cached = Math.max(binding().file_read_cached(this.#handle.fd, into, position), 0);
    for (let filled = cached; filled < into.length; ) {
      const { bytesRead } = await this.#handle.read(into, filled, into.length - filled, position + filled);
      if (bytesRead === 0) throw new VerityError(`${this.path} ends at ${position + filled}.`, 'EIO');
      filled += bytesRead;
    }
  }

  /** Writes all the bytes. @throws the system's error */
  async write(from: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < from.length; ) {
      const write = this.#handle.write(from, done, from.length - done, position + done);
      done += (await this.#named(write)).bytesWritten;
    }
  }

  /** What has been written is on stable storage when it is done. */
  async sync(): Promise<void> {
    await this.#named(this.#handle.datasync());
  }

  /** The system names no file where it was given a descriptor. */
  #named<T>(call: Promise<T>): Promise<T> {
    return call.catch((error: Error) => {
      error.message = `${this.path}: ${error.message}`;
      throw error;
    });
  }

  /** Gives a new file its name: see commitFiles. */
  async commit(): Promise<void> {
    await this.#new?.commit();
  }

  /** Closes it; a new file that has not been committed is gone then. */
  async close(): Promise<void> {
    await (this.#new ?? this.#handle).close();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** What 'dump' and 'verify' say of a file too short for a superblock; of data, too. @throws VerityError */
export function checkNotTiny(file: BlockFile): void {
  if (file.size < superblockSize)
    throw new VerityError(
      `Header detected but device ${file.path} is too small.`,
      'EINVAL',
      `it has ${file.size} bytes, at least ${superblockSize} are needed`,
    );
}

/** Gives new files their names, once all are on stable storage: a full server, or a quota, may say so only then. */
export async function commitFiles(files: ReadonlySet<BlockFile>): Promise<void> {
  for (const file of files) if (file.isNew) await file.sync();
  for (const file of files) await file.commit();
}

function cannotCreate(path: string, cause: Error): VerityError {
  const code = isFull(cause) ? 'ENOSPC' : 'EINVAL';
  return new VerityError(`Cannot create hash image ${path} for writing.`, code, cause.message, { cause });
}
