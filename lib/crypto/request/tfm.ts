import { binding, type OpHandle, type TfmHandle } from '../../base/binding.js';
import { checkBytes, checkInteger, checkWord, valueError, wrongSize, wrongType } from '../../base/bytes.js';
import { EBADF, ENOENT, ENOKEY, EOPNOTSUPP } from '../../base/errno.js';
import { type Engine, type EngineName, engineNames } from '../engine/engine.js';
import { engineNow } from '../engine/engine-choice.js';
import { sharedEngine } from '../engine/shared-engine.js';
import { algError } from '../error.js';
import { driverLimit } from '../provider/driver-limit.js';
import { type LibraryAlgorithm, libraryAlgorithm } from '../provider/library.js';
import { type AlgType, algTypes } from '../provider/proc-crypto.js';
import { chooseProvider, type ProviderName, providerNames } from '../provider/provider.js';
import { unknownName } from '../provider/unknown-name.js';
import { Batch } from './batch.js';
import { probeCarry } from './carry.js';
import { type IvRule, ivRule } from './iv.js';
import { Request } from './request.js';
import { openTfm, type Seal } from './tfm-handle.js';
import { describeKernel, describeLibrary, type TfmInfo } from './tfm-info.js';

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

/**
 * A transformation: an algorithm with its key. Requests and batches run on it; any number may be in flight.
 * Kernel: the bound AF_ALG socket. Close it, or `using` it.
 */
export class Tfm {
  readonly type: AlgType;
  readonly name: string;
  readonly provider: ProviderName;
  readonly info: TfmInfo;
  /**
   * What runs this tfm's asynchronous requests; it does not change. With 'auto': AIO where the driver is asynchronous and
   * this thread has proved the kernel's AIO to be so (await probeAio() to be sure of that), else lanes.
   */
  readonly engine: Engine;
  /** Grows with each change of key or tag size: requests then reopen their op. */
  generation = 0;
  #handle: TfmHandle | undefined;
  #closed = false;
  #authSize: number | undefined;
  #maxRequest: number | undefined;
  #carries: boolean | undefined;
  #keyed = false;
  #library: LibraryAlgorithm | undefined;
  readonly #requests = new Set<Request>();

  /**
   * Opens the algorithm `name`: the kernel's name ('cbc(aes)', 'hmac(sha256)') or the exact name of a driver.
   * @throws AlgError (no AF_ALG, unknown, refused), TypeError, RangeError
   */
  constructor(type: AlgType, name: string, options: TfmOptions = {}) {
    checkWord('type', type, algTypes);
    if (typeof name !== 'string') throw wrongType('name', 'a string', name);
    if (name === '' || name.includes('\0'))
      throw valueError('name: expected the name of an algorithm, got an empty or binary one');
    if (Buffer.byteLength(name) > longestName)
      throw wrongSize('name', `at most ${longestName} bytes`, Buffer.byteLength(name));
    const { provider = 'auto', engine = 'auto' } = options;
    checkWord('provider', provider, ['auto', ...providerNames]);
    if (typeof engine === 'string') checkWord('engine', engine, ['auto', ...engineNames]);
    else if (typeof engine?.submit !== 'function') throw wrongType('engine', 'a name or an Engine', engine);
    if (options.key !== undefined) checkBytes('key', options.key);
    if (options.keySerial !== undefined) checkInteger('keySerial', options.keySerial, -(2 ** 31), 2 ** 31 - 1);
    if (options.key && options.keySerial !== undefined)
      throw valueError('keySerial: expected no key beside it, got both');
    this.type = type;
    this.name = name;
    const seal = { key: options.key, keySerial: options.keySerial, authSize: options.authSize };
    const choice = provider === 'auto' ? chooseProvider(type, name).provider : provider;
    this.provider = choice;
    try {
      if (choice === 'library') {
        if ((typeof engine === 'string' ? engine : engine.name) === 'aio')
          throw algError('library', name, -EOPNOTSUPP, 'libcrypto has no AIO; use the engine lanes');
        this.#library = libraryAlgorithm(type, name);
        if (!this.#library) throw algError('library', name, -ENOENT, unknownName(type, name));
      }
      this.#open(seal);
    } catch (error) {
      // libcrypto refuses some keys that the kernel takes: AES-192-XTS, equal halves of XTS's key.
      if (provider !== 'auto' || choice !== 'library' || !this.#opensInKernel(seal)) throw error;
      this.provider = 'kernel';
      this.#library = undefined;
    }
    this.info = this.#library ? describeLibrary(name, this.#library) : describeKernel(type, name);
    this.#applyLimit();
    if (typeof engine === 'object') this.engine = engine;
    else this.engine = sharedEngine(engine === 'auto' ? engineNow(type, this.provider, this.info.driver) : engine);
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
    if (this.type !== 'skcipher') return false;
    if (!this.#keyed) throw algError('sendmsg', this.name, -ENOKEY);
    const { ivSize = 0, blockSize = 1 } = this.info;
    this.#carries ??= probeCarry(() => this.openOp(), ivSize, blockSize);
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
  #open(seal: Seal): void {
    if (this.#closed) throw algError(this.type, this.name, -EBADF);
    const fresh = openTfm(this.type, this.name, seal, this.#library);
    if (this.#handle) binding().tfm_close(this.#handle);
    this.#handle = fresh;
    this.#authSize = seal.authSize;
    this.#keyed = seal.key !== undefined || seal.keySerial !== undefined;
    this.generation++;
    this.#applyLimit();
  }

  #opensInKernel(seal: Seal): boolean {
    if (binding().af_alg_probe() < 0) return false;
    const library = this.#library;
    this.#library = undefined;
    try {
      this.#open(seal);
      return true;
    } catch {
      this.#library = library;
      return false;
    }
  }

  // The driver is known once the algorithm has been bound.
  #applyLimit(): void {
    const limit = this.provider === 'kernel' ? driverLimit(this.info?.driver) : undefined;
    if (limit) binding().tfm_set_limit(this.#handle!, limit);
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
}

/** CRYPTO_MAX_ALG_NAME, less the end of the string. */
const longestName = 127;
