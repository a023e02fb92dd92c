import { constants } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { LuksError } from './error.js';
import type { HeaderStorage } from './header.js';

/** A file or block device that a header lies on. */
export class HeaderFile implements HeaderStorage {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly size: number;

  private constructor(file: FileHandle, path: string, size: number) {
    this.#file = file;
    this.#path = path;
    this.size = size;
  }

  /** @throws the file's error */
  static async open(path: string, { readOnly = true }: { readOnly?: boolean } = {}): Promise<HeaderFile> {
    const file = await open(path, readOnly ? constants.O_RDONLY : constants.O_RDWR);
    try {
      const info = await file.stat();
      if (!info.isFile() && !info.isBlockDevice())
        throw new LuksError('ENODEV', `${path}: is neither a file nor a block device`);
      const size = info.isFile() ? info.size : await deviceSize(info.rdev);
      return new HeaderFile(file, path, size);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** What somebody else has opened, and closes. */
  static of(file: FileHandle, path: string, size: number): HeaderFile {
    return new HeaderFile(file, path, size);
  }

  async read(into: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await this.#file.read(into, done, into.length - done, position + done);
      if (bytesRead === 0)
        throw new LuksError('ENODEV', `${this.#path}: ends at byte ${position + done}; was it truncated?`);
      done += bytesRead;
    }
  }

  async write(from: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < from.length; ) {
      const { bytesWritten } = await this.#file.write(from, done, from.length - done, position + done);
      done += bytesWritten;
    }
  }

  flush(): Promise<void> {
    return this.#file.sync();
  }

  describe(): string {
    return this.#path;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Bytes, as sysfs has them in sectors of 512 bytes. */
async function deviceSize(rdev: number): Promise<number> {
  const numbers = `${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`;
  return Number(await readFile(`/sys/dev/block/${numbers}/size`, 'utf8')) * 512;
}
