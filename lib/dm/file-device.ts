import type { Stats } from 'node:fs';
import { constants, fdatasync, read, write } from 'node:fs';
import { type FileHandle, open, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { binding } from '../base/binding.js';
import { EOPNOTSUPP } from '../base/errno.js';
import { errnoName } from '../crypto/error.js';
import { type Bio, sectorSize } from './bio.js';
import { blockDeviceSize, deviceNumbers, nodeOf, sysfsOf } from './block-numbers.js';
import { directBlockSize, isAligned, pageAligned } from './direct-io.js';
import type { Extent } from './extent.js';
import { fileExtent } from './file-extent.js';
import type { DeviceHoldings } from './holdings.js';
import { TableError } from './table-error.js';
import type { BlockDevice } from './target.js';

/** Bytes that one system call is asked for at most. */
const maxCall = 1 << 20;
/** Bytes that are copied from the page cache in the caller's thread: handing them to another one and back takes longer than the copy. */
const maxCached = 1 << 18;

export interface FileDeviceOptions {
  readOnly: boolean;
  /** Past the page cache (O_DIRECT). */
  direct: boolean;
}

type Transfer = (fd: number, bytes: Uint8Array, at: number, length: number, position: number, done: Done) => void;
type Done = (error: NodeJS.ErrnoException | null, count: number) => void;

/** What a file or a block device is like; sizes in bytes. */
interface Geometry {
  /** A block device's `major:minor`; undefined of a file. */
  numbers: string | undefined;
  size: number;
  blockSize: number;
  discards: boolean;
}

/**
 * A regular file or a block device, through the page cache or past it. A file ends with its last whole block. A discard punches a hole into
 * a file, which reads as zeroes; to a block device it is passed on, where it takes any (drivers/block/loop.c does the same).
 */
export class FileDevice implements BlockDevice {
  readonly sectors: number;
  readonly blockSize: number;
  readonly discards: boolean;
  readonly discardsToZero: boolean;
  /** Until the file system says that it has no holes. */
  #punches = true;
  /** Until the file system says that it cannot tell what is in the page cache. */
  #looksInCache: boolean;

  private constructor(
    readonly path: string,
    readonly handle: FileHandle,
    readonly geometry: Geometry,
    readonly options: FileDeviceOptions,
  ) {
    this.blockSize = geometry.blockSize;
    this.sectors = (Math.floor(geometry.size / geometry.blockSize) * geometry.blockSize) / sectorSize;
    this.discards = geometry.discards;
    this.discardsToZero = geometry.numbers === undefined;
    this.#looksInCache = !options.direct;
  }

  /** A block device may be named by its numbers, too. @throws TableError `Device lookup failed` with the system's reason */
  static async open(spec: string, argument: number, options: FileDeviceOptions): Promise<FileDevice> {
    const { readOnly, direct } = options;
    const refuse = (hint: string, code: string, cause?: unknown) =>
      new TableError('Device lookup failed', { argument, value: spec, code, hint }, { cause });
    const refuseCause = (error: NodeJS.ErrnoException) => {
      const why = direct && error.code === 'EINVAL' ? 'its file system has no direct I/O; ' : '';
      return refuse(why + error.message, error.code ?? 'EIO', error);
    };
    const flags = (readOnly ? constants.O_RDONLY : constants.O_RDWR) | (direct ? constants.O_DIRECT : 0);
    const fail = (error: NodeJS.ErrnoException) => {
      throw refuseCause(error);
    };
    const path = /^\d+:\d+$/.test(spec) ? await nodeOf(spec).catch(fail) : spec;
    const handle = await open(path, flags).catch(fail);
    try {
      const stat = await handle.stat();
      if (!stat.isFile() && !stat.isBlockDevice()) throw refuse('it is no regular file and no block device', 'ENOTBLK');
      return new FileDevice(path, handle, await geometryOf(handle.fd, stat, direct), options);
    } catch (error) {
      await handle.close();
      throw error instanceof TableError ? error : refuseCause(error as NodeJS.ErrnoException);
    }
  }

  submit(bio: Bio): void {
    if (bio.op === 'flush') this.#sync(bio);
    else if (bio.sector + bio.sectors > this.sectors) bio.end('EIO');
    else if (bio.op === 'read') this.#transfer(bio, read as Transfer, bio.bytes, this.#readCached(bio));
    else if (this.options.readOnly) bio.end('EROFS');
    else if (bio.op === 'write') this.#transfer(bio, write as Transfer, bio.bytes, 0);
    else if (!this.discards) bio.end('EOPNOTSUPP');
    else if (this.#punches) this.#discard(bio);
    else this.#zero(bio);
  }

  /** Bytes from the start of a short read that could be had without waiting for a disk (preadv2(2), RWF_NOWAIT). */
  #readCached(bio: Bio): number {
    if (!this.#looksInCache || bio.bytes.length > maxCached) return 0;
    const count = binding().file_read_cached(this.handle.fd, bio.bytes, bio.sector * sectorSize);
    if (count === -EOPNOTSUPP) this.#looksInCache = false;
    // An error comes again, where it can be told.
    return Math.max(count, 0);
  }

  /** Moves the bytes from `done` on, through aligned memory where direct I/O wants it. */
  #transfer(bio: Bio, call: Transfer, bytes: Uint8Array, done: number, bounce?: Buffer): void {
    if (done === bytes.length) {
      this.#finish(bio);
      return;
    }
    const length = Math.min(bytes.length - done, maxCall);
    const piece = bytes.subarray(done, done + length);
    const isMoved = this.options.direct && !isAligned(piece, this.blockSize);
    const own = isMoved ? (bounce ?? this.#allocate(bio, done, length)) : undefined;
    if (own === null) return;
    if (own && bio.op === 'write') own.set(piece);
    this.#call(bio, call, own ?? piece, done, length, (count) => {
      if (own && bio.op === 'read') piece.set(own.subarray(0, count));
      this.#transfer(bio, call, bytes, done + count, own);
    });
  }

  /** Aligned bytes for what comes from `done` on; without memory the bio ends, and there are none. */
  #allocate(bio: Bio, done: number, length: number): Buffer | null {
    try {
      return pageAligned(length);
    } catch (cause) {
      const first = done / sectorSize;
      bio.end({ code: 'ENOMEM', failed: [{ first, count: bio.sectors - first }], cause: cause as Error });
      return null;
    }
  }

  /** Writes zeroes: what a hole reads as. */
  #zero(bio: Bio, done = 0, given?: Buffer): void {
    const zeroes = given ?? this.#allocate(bio, done, Math.min(bio.sectors * sectorSize, maxCall))?.fill(0);
    if (!zeroes) return;
    const length = Math.min(bio.sectors * sectorSize - done, zeroes.length);
    if (length === 0) this.#finish(bio);
    else this.#call(bio, write as Transfer, zeroes, done, length, (count) => this.#zero(bio, done + count, zeroes));
  }

  /** One system call. An error, or an end where there should be none, ends the bio. */
  #call(
    bio: Bio,
    call: Transfer,
    bytes: Uint8Array,
    done: number,
    length: number,
    next: (count: number) => void,
  ): void {
    call(this.handle.fd, bytes, 0, length, bio.sector * sectorSize + done, (error, count) => {
      const isShort = !error && (count === 0 || (this.options.direct && count % this.blockSize !== 0));
      if (!error && !isShort) return next(count);
      const cause = error ?? new Error(`${this.path} has become shorter`);
      const first = Math.floor((done + (error ? 0 : count)) / sectorSize);
      bio.end({ code: error?.code ?? 'EIO', failed: [{ first, count: bio.sectors - first }], cause });
    });
  }

  #discard(bio: Bio): void {
    const isDevice = this.geometry.numbers !== undefined;
    const [offset, length] = [bio.sector * sectorSize, bio.sectors * sectorSize];
    const ended = (result: number) => {
      if (result === 0) return bio.end();
      if (result === -EOPNOTSUPP && !isDevice) {
        this.#punches = false;
        return this.#zero(bio);
      }
      const { code, text } = errnoName(-result);
      const cause = new Error(`${code}: ${text}, ${isDevice ? 'ioctl' : 'fallocate'}`);
      bio.end({ code, failed: [{ first: 0, count: bio.sectors }], cause });
    };
    // Without memory it has not begun, and tells nobody later.
    const refused = binding().file_discard(this.handle.fd, isDevice, offset, length, ended);
    if (refused < 0) ended(refused);
  }

  /** Holes of a file; what a block device has of its own nobody can tell. */
  extent(sector: number, sectors: number): Extent {
    if (this.geometry.numbers !== undefined) return { sectors, hole: false };
    const { length, hole } = fileExtent(this.handle.fd, sector * sectorSize, sectors * sectorSize);
    const empty = Math.floor(length / sectorSize);
    if (hole && empty > 0) return { sectors: empty, hole };
    return { sectors: Math.ceil(length / sectorSize), hole: false };
  }

  #finish(bio: Bio): void {
    if (bio.fua) this.#sync(bio);
    else bio.end();
  }

  #sync(bio: Bio): void {
    fdatasync(this.handle.fd, (cause) =>
      bio.end(cause ? { code: cause.code ?? 'EIO', failed: [{ first: 0, count: bio.sectors }], cause } : null),
    );
  }

  /** As the kernel prints it: a block device by its numbers. */
  describe(): string {
    return this.geometry.numbers ?? this.path;
  }

  holdings(): DeviceHoldings {
    return { descriptors: 1 };
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

/** @throws the error of a system call */
async function geometryOf(fd: number, stat: Stats, direct: boolean): Promise<Geometry> {
  if (stat.isFile()) {
    const blockSize = direct ? await directBlockSize(fd) : sectorSize;
    return { numbers: undefined, size: stat.size, blockSize, discards: true };
  }
  const blockSize = binding().device_block_size(fd);
  if (blockSize < 0) throw Object.assign(new Error('ioctl(BLKSSZGET) failed'), { code: errnoName(-blockSize).code });
  const numbers = deviceNumbers(BigInt(stat.rdev));
  const size = await blockDeviceSize(numbers);
  const folder = await realpath(sysfsOf(numbers));
  // A partition has its disk's queue.
  const most = await readFile(join(folder, 'queue/discard_max_bytes'), 'utf8').catch(() =>
    readFile(join(folder, '../queue/discard_max_bytes'), 'utf8'),
  );
  return { numbers, size, blockSize, discards: Number(most) > 0 };
}
