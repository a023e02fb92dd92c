import { randomBytes } from 'node:crypto';
import { constants, existsSync, rmSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { binding } from './binding.js';
import { EEXIST } from './errno.js';

/** include/uapi/asm-generic/fcntl.h; Node.js does not name it. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** What file systems without files that have no name answer, kernels before 3.11 among them. */
const noUnnamed = ['EOPNOTSUPP', 'EISDIR', 'ENOENT', 'EINVAL'];

/**
 * A file that gets its name when it is complete. Until then it has none where the file system can (O_TMPFILE): a run that is killed leaves
 * nothing. Elsewhere it has a random hidden name beside its own: what a killed run leaves is in nobody's way.
 */
export class NewFile {
  readonly path: string;
  readonly handle: FileHandle;
  /** The hidden name; undefined while there is none. */
  #hidden: string | undefined;
  #isDone = false;

  private constructor(path: string, handle: FileHandle, hidden: string | undefined) {
    this.path = path;
    this.handle = handle;
    this.#hidden = hidden;
  }

  /** `path`: the name to come. @throws the system's error */
  static async create(path: string, mode = 0o666): Promise<NewFile> {
    // Its name comes through /proc.
    const unnamed =
      existsSync('/proc/self/fd') &&
      (await open(dirname(path), constants.O_RDWR | O_TMPFILE, mode).catch((error: NodeJS.ErrnoException) => {
        if (!noUnnamed.includes(error.code ?? '')) throw naming(path, error);
      }));
    if (unnamed) return new NewFile(path, unnamed, undefined);
    const hidden = hiddenPath(path);
    const handle = await open(hidden, 'wx+', mode).catch((error) => {
      throw naming(path, error);
    });
    return new NewFile(path, handle, hidden);
  }

  /**
   * Stores the bytes, then the name. With `replace` the name may be another file's, which goes then; without it that is EEXIST.
   * @throws the system's error
   */
  async commit({ replace = false }: { replace?: boolean } = {}): Promise<void> {
    await this.handle.sync();
    if (this.#hidden === undefined && !replace) this.#link(this.path);
    else {
      if (this.#hidden === undefined) {
        const hidden = hiddenPath(this.path);
        this.#link(hidden);
        this.#hidden = hidden;
      }
      await rename(this.#hidden, this.path);
      this.#hidden = undefined;
    }
    this.#isDone = true;
    await syncFolder(dirname(this.path));
  }

  /** Gives the file a name. @throws the system's error */
  #link(path: string): void {
    const result = binding().file_link(this.handle.fd, path);
    if (result >= 0) return;
    const [code, text] = getSystemErrorMap().get(result) ?? [`E${-result}`, 'the kernel refused'];
    const what = -result === EEXIST ? 'it has come to exist meanwhile' : text;
    throw Object.assign(new Error(`${code}: ${what}, link '${path}'`), { code, errno: result, syscall: 'link', path });
  }

  /** Removes what is there of it, if it has not been committed; from a signal's handler, too. */
  discard(): void {
    if (!this.#isDone && this.#hidden !== undefined) rmSync(this.#hidden, { force: true });
  }

  /** Closes it; without commit() it is gone then. */
  async close(): Promise<void> {
    try {
      await this.handle.close();
    } finally {
      this.discard();
    }
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function hiddenPath(path: string): string {
  return join(dirname(path), `.${basename(path).slice(0, 200)}.${randomBytes(9).toString('base64url')}.part`);
}

/** A name is on stable storage when its folder is. Some file systems have folders that cannot be synced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
  } finally {
    await folder.close();
  }
}

/** The system names the folder, or the hidden file. */
function naming(path: string, error: NodeJS.ErrnoException): Error {
  error.message = error.message.replace(/'[^']*'$/, `'${path}'`);
  error.path = path;
  return error;
}
