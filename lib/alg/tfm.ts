import { binding, libraryKind, type OpHandle, type TfmHandle, typeNumber } from '../binding.js';
import { asynchronousDrivers } from './aio-probe.js';
import { Batch } from './batch.js';
import { checkBytes, checkInteger, checkWord, noBytes, wrongSize, wrongType } from './bytes.js';
import { type Engine, type EngineName, engineNames } from './engine.js';
import { chooseEngine } from './engine-choice.js';
import { sharedEngine } from './engines.js';
import { algError } from './error.js';
import { type IvRule, ivRule } from './iv.js';
import { type LibraryAlgorithm, libraryAlgorithm } from './library.js';
import { type AlgType, algTypes, findAlgorithm, readProcCrypto } from './proc-crypto.js';
import { chooseProvider, type ProviderName, providerNames } from './provider.js';
import { Request } from './request.js';

export interface TfmOptions {
  /** The raw key. It is copied, and the copy wiped; the caller's bytes stay the caller's. */
  key?: Uint8Array;
  /** The serial of a key in the kernel's keyring, instead of `key`. Kernel provider only. */
  keySerial?: number;
  /** Bytes of an AEAD's tag; the algorithm's largest if not given. */
  authSize?: number;
  /** Whose crypto: 'kernel' (AF_ALG), 'library' (libcrypto), 'auto' picks. Default 'auto'. */
  provider?: ProviderName | 'auto';
  /** What runs asynchronous requests: a name, or an engine of the caller's. 'auto': see Tfm.engine. Default 'auto'. */
  engine?: EngineName | 'auto' | Engine;
}

/** Sizes of an algorithm, in bytes; undefined where /proc/crypto cannot be read. */
export interface TfmInfo {
  ivSize: number | undefined;
  blockSize: number | undefined;
  digestSize: number | undefined;
  minKeySize: number | undefined;
  maxKeySize: number | undefined;
  maxAuthSize: number | undefined;
  /** The driver behind the name; 'libcrypto' for the library. */
  driver: string | undefined;
  /** The algorithm's own name, also where it was asked for by its driver's. */
  algorithm: string;
}

interface Sealed {
  key: Uint8Array | undefined;
  keySerial: number | undefined;
  authSize: number | undefined;
}

/**
 * A transformation: an algorithm with its key. Requests and batches run on it; any number may be in flight.
 * Kernel: the bound AF_ALG socket. Close it, or `using` it.
 */
export class Tfm {
  readonly type: AlgType;
  readonly name: string;
  readonly provider: ProviderName;
  readonly info: TfmInfo;
  /** What runs this tfm's asynchronous requests. With 'auto', lanes, until AIO is proved to be better. */
  engine: Engine;
  /** Grows with each change of key or tag size: requests then reopen their op. */
  generation = 0;
  #handle: TfmHandle | undefined;
  #closed = false;
  #authSize: number | undefined;
  #maxRequest: number | undefined;
  #carries: boolean | undefined;
  #keyed = false;
  readonly #library: LibraryAlgorithm | undefined;
  readonly #requests = new Set<Request>();

  /**
   * Opens the algorithm `name`: the kernel's name ('cbc(aes)', 'hmac(sha256)') or the exact name of a driver.
   * @throws AlgError (no AF_ALG, unknown, refused), TypeError, RangeError
   */
  constructor(type: AlgType, name: string, options: TfmOptions = {}) {
    checkWord('type', type, algTypes);
    if (typeof name !== 'string') throw wrongType('name', 'a string', name);
    if (name === '' || name.includes('\0'))
      throw new TypeError('name: expected the name of an algorithm, got an empty or binary one');
    if (Buffer.byteLength(name) > longestName)
      throw wrongSize('name', `at most ${longestName} bytes`, Buffer.byteLength(name));
    const { provider = 'auto', engine = 'auto' } = options;
    checkWord('provider', provider, ['auto', ...providerNames]);
    if (typeof engine === 'string') checkWord('engine', engine, ['auto', ...engineNames]);
    else if (typeof engine?.submit !== 'function') throw wrongType('engine', 'a name or an Engine', engine);
    if (options.key !== undefined) checkBytes('key', options.key);
    if (options.keySerial !== undefined) checkInteger('keySerial', options.keySerial, -(2 ** 31), 2 ** 31 - 1);
    if (options.key && options.keySerial !== undefined)
      throw new TypeError('keySerial: expected no key beside it, got both');
    this.type = type;
    this.name = name;
    this.provider = provider === 'auto' ? chooseProvider(type, name).provider : provider;
    if (this.provider === 'library') {
      if (engine === 'aio') throw algError('library', name, -EOPNOTSUPP, 'libcrypto has no AIO; use the engine lanes');
      this.#library = libraryAlgorithm(type, name);
      if (!this.#library) throw algError('library', name, -ENOENT);
    }
    this.#open({ key: options.key, keySerial: options.keySerial, authSize: options.authSize });
    this.info = this.#describe();
    this.engine = typeof engine !== 'string' ? engine : sharedEngine(engine === 'auto' ? 'lanes' : engine);
    if (engine === 'auto') this.#chooseEngine();
  }

  get closed(): boolean {
    return this.#closed;
  }
  /** Bytes of the tag, for an AEAD. */
  get authSize(): number {
    return this.#authSize ?? this.info.maxAuthSize ?? 16;
  }
  /** How the IV goes on from request to request, where this algorithm chains at all. */
  get ivRule(): IvRule | undefined {
    return this.type === 'skcipher' ? ivRule(this.info.algorithm) : undefined;
  }

  /** Changes the key. Requests in flight finish with the old one. @throws AlgError, TypeError */
  setKey(key: Uint8Array): void {
    checkBytes('key', key);
    this.#open({ key, keySerial: undefined, authSize: this.#authSize });
  }

  /** Takes the key from the kernel's keyring. @throws AlgError ENOPROTOOPT where the kernel cannot */
  setKeySerial(keySerial: number): void {
    checkInteger('keySerial', keySerial, -(2 ** 31), 2 ** 31 - 1);
    this.#open({ key: undefined, keySerial, authSize: this.#authSize });
  }

  /** A request of this tfm: one op socket, one request in flight at a time. @throws AlgError */
  request(): Request {
    const request = new Request(this);
    this.#requests.add(request);
    return request;
  }

  /** A batch of equal units. @throws TypeError, RangeError */
  batch(fields: ConstructorParameters<typeof Batch>[1]): Batch {
    return new Batch(this, fields);
  }

  /** The longest request, in bytes of input and of output, that this tfm takes whole. @throws AlgError */
  maxRequest(): number {
    if (this.type === 'hash' || this.type === 'rng') return Number.MAX_SAFE_INTEGER;
    this.#maxRequest ??= this.#withOp((op) => binding().op_max_request(op));
    return this.#maxRequest;
  }

  /**
   * Whether requests that bring no IV go on from the one before on the same op: proved by trying, with this key.
   * Kernel: the socket's ctx->iv, which the cipher wrote back.
   */
  carriesIv(): boolean {
    this.#carries ??= this.type === 'skcipher' && this.#probeCarry();
    return this.#carries;
  }

  /** Closes it and its requests; what is in flight completes first. Twice is once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const request of this.#requests) request.close();
    binding().tfm_close(this.#handle!);
  }
  [Symbol.dispose](): void {
    this.close();
  }
  /** Closes it when nothing is in flight any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#requests].map((request) => request.idle()));
    this.close();
  }

  /** For Request and Batch. @throws AlgError EBADF when closed */
  get handle(): TfmHandle {
    if (this.#closed) throw algError(this.type, this.name, -EBADF);
    return this.#handle!;
  }
  /** For Request: it has been closed. */
  forget(request: Request): void {
    this.#requests.delete(request);
  }
  /** For Request. @throws AlgError */
  openOp(): OpHandle {
    const op = binding().op_open(this.handle);
    if (typeof op === 'number') throw algError('accept', this.name, op);
    return op;
  }

  // A key can be set only before the first op is opened (af_alg.c:alg_setsockopt, EBUSY), so a change of key is a new
  // socket, and the old one lives as long as the requests in flight on it.
  #open(sealed: Sealed): void {
    if (this.#closed) throw algError(this.type, this.name, -EBADF);
    const fresh = this.provider === 'kernel' ? this.#openKernel() : this.#openLibrary(sealed);
    try {
      this.#seal(fresh, sealed);
    } catch (error) {
      binding().tfm_close(fresh);
      throw error;
    }
    if (this.#handle) binding().tfm_close(this.#handle);
    this.#handle = fresh;
    this.#authSize = sealed.authSize;
    this.generation++;
  }

  // Where the driver is asynchronous, AIO takes over from the lanes as soon as a probe has proved it.
  #chooseEngine(): void {
    if (this.provider !== 'kernel' || (this.type !== 'skcipher' && this.type !== 'aead')) return;
    if (!isAsynchronous(this.type, this.info.driver)) return;
    chooseEngine(this.type, this.name, this.provider).then(
      ({ name }) => {
        this.engine = sharedEngine(name);
      },
      () => {}, // not proved: the lanes stay
    );
  }

  #openKernel(): TfmHandle {
    const failed: string[] = [];
    const handle = binding().kernel_open(typeNumber[this.type], this.name, 0, 0, failed);
    if (typeof handle !== 'number') return handle;
    const list = failed[0] === 'bind' && handle === -ENOENT ? readProcCrypto() : [];
    const other = algTypes.find((type) => type !== this.type && findAlgorithm(list, type, this.name));
    throw algError(
      failed[0] ?? 'bind',
      this.name,
      handle,
      other && `it is of type ${other}, and was asked for as ${this.type}`,
    );
  }

  #openLibrary(sealed: Sealed): TfmHandle {
    const library = this.#library!;
    const keySize = sealed.key?.length ?? library.keySizes?.[0] ?? 0;
    const evpName = library.evpName(keySize);
    if (evpName === undefined) throw this.#wrongKey(keySize, library.keySizes!.join(' or '));
    // As the kernel answers (crypto/ahash.c), instead of hashing without it.
    if (sealed.key && library.kind === libraryKind.digest) throw algError('setsockopt(key)', this.name, -ENOSYS);
    const handle = binding().library_open(library.kind, evpName);
    if (typeof handle === 'number') throw algError('library', this.name, handle);
    return handle;
  }

  #wrongKey(got: number, expected: string): RangeError {
    return new RangeError(`key: expected ${expected} bytes for ${this.name}, got ${got}`);
  }

  #seal(handle: TfmHandle, { key, keySerial, authSize }: Sealed): void {
    const check = (syscall: string, result: number, hint?: string) => {
      if (result < 0) throw algError(syscall, this.name, result, hint);
    };
    const native = binding();
    if (keySerial !== undefined) check('setsockopt(key serial)', native.tfm_set_key_serial(handle, keySerial));
    // A DRBG must be seeded, and takes an empty seed (algif_rng.c).
    const seed = key ?? (this.type === 'rng' && this.provider === 'kernel' ? noBytes : undefined);
    if (seed) {
      const result = native.tfm_set_key(handle, seed);
      if (result === -EINVAL && key) throw this.#refusedKey(key.length);
      if (key) check('setsockopt(key)', result);
    }
    this.#keyed = key !== undefined || keySerial !== undefined;
    if (authSize === undefined) return;
    if (this.type !== 'aead') throw new TypeError(`authSize: expected none for a ${this.type}, got ${authSize}`);
    checkInteger('authSize', authSize, 0, 64);
    check('setsockopt(authsize)', native.tfm_set_authsize(handle, authSize));
  }

  /** The kernel says EINVAL to any key it does not like; where the sizes are known, say so. */
  #refusedKey(size: number): Error {
    const known = findAlgorithm(readProcCrypto(), this.type, this.name);
    const { minKeySize: min, maxKeySize: max } = known ?? {};
    if (min === undefined || max === undefined || (size >= min && size <= max))
      return algError(
        'setsockopt(key)',
        this.name,
        -EINVAL,
        this.type === 'skcipher' && this.name.includes('xts')
          ? 'not a key for this algorithm (size, or its two halves are equal)'
          : undefined,
      );
    return this.#wrongKey(size, min === max ? `${min}` : `${min} to ${max}`);
  }

  #describe(): TfmInfo {
    const library = this.#library;
    if (library) {
      const sizes = library.keySizes ?? [undefined, undefined];
      const { ivSize, blockSize, digestSize, maxAuthSize } = library;
      return {
        ivSize,
        blockSize,
        digestSize,
        maxAuthSize,
        minKeySize: sizes[0],
        maxKeySize: sizes.at(-1),
        driver: 'libcrypto',
        algorithm: this.name,
      };
    }
    const found = lookUp(this.type, this.name);
    return {
      ivSize: found?.ivSize,
      blockSize: found?.blockSize,
      digestSize: found?.digestSize,
      minKeySize: found?.minKeySize,
      maxKeySize: found?.maxKeySize,
      maxAuthSize: found?.maxAuthSize,
      driver: found?.driver,
      algorithm: found?.name ?? this.name,
    };
  }

  #withOp(use: (op: OpHandle) => number): number {
    const op = this.openOp();
    try {
      const result = use(op);
      if (result < 0) throw algError('getsockopt', this.name, result);
      return result;
    } finally {
      binding().op_close(op);
    }
  }

  #probeCarry(): boolean {
    if (!this.#keyed) throw algError('sendmsg', this.name, -ENOKEY);
    const { ivSize = 0, blockSize = 1 } = this.info;
    const size = Math.max(64, blockSize);
    const src = new Uint8Array(2 * size).fill(0x5a);
    const iv = new Uint8Array(ivSize).fill(1);
    const run = (op: OpHandle, first: Uint8Array | null, from: number, to: number) => {
      const dst = new Uint8Array(to - from);
      const result = binding().op_run(op, 1, first, 0, src.subarray(from, to), dst);
      return result === dst.length ? dst : new Uint8Array(0);
    };
    const whole = this.openOp();
    const parts = this.openOp();
    try {
      const expected = run(whole, iv, 0, 2 * size);
      const got = Buffer.concat([run(parts, iv, 0, size), run(parts, null, size, 2 * size)]);
      return expected.length > 0 && got.equals(expected);
    } finally {
      binding().op_close(whole);
      binding().op_close(parts);
    }
  }
}

/** CRYPTO_MAX_ALG_NAME, less the end of the string. */
const longestName = 127;
const EBADF = 9;
const ENOENT = 2;
const EINVAL = 22;
const ENOSYS = 38;
const EOPNOTSUPP = 95;
const ENOKEY = 126;

// What /proc/crypto says of an algorithm does not change, and reading it takes longer than opening the socket.
const known = new Map<string, ReturnType<typeof findAlgorithm>>();

const asynchronous = new Map<string, boolean>();

/** Whether a driver is one that can be in flight; remembered, for the same reason. */
function isAsynchronous(type: AlgType, name: string | undefined): boolean {
  const key = `${type} ${name}`;
  const answer =
    asynchronous.get(key) ?? asynchronousDrivers(readProcCrypto(), type).some(({ driver }) => driver === name);
  asynchronous.set(key, answer);
  return answer;
}

function lookUp(type: AlgType, name: string): ReturnType<typeof findAlgorithm> {
  const key = `${type} ${name}`;
  let found = known.get(key);
  if (!found) {
    found = findAlgorithm(readProcCrypto(), type, name);
    if (found) known.set(key, found);
  }
  return found;
}
