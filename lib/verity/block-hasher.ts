import type { Engine } from '../crypto/engine/engine.js';
import { AlgError } from '../crypto/error.js';
import { libraryAlgorithm } from '../crypto/provider/library.js';
import type { Batch, BatchFields } from '../crypto/request/batch.js';
import { Tfm, type TfmOptions } from '../crypto/request/tfm.js';
import { VerityError } from './error.js';
import type { HashType } from './superblock.js';

export interface BlockHasherOptions extends Pick<TfmOptions, 'provider' | 'engine'> {
  /** The kernel's name of the hash: 'sha256'. */
  hash: string;
  salt: Uint8Array;
  hashType: HashType;
}

/** Other names that veritysetup takes for a hash of the kernel's. */
const otherNames: Record<string, string> = { ripemd160: 'rmd160' };

/** The kernel's name of a hash, by whatever name an image has it. */
export function kernelHashName(hash: string): string {
  const name = hash.toLowerCase();
  return Object.hasOwn(otherNames, name) ? otherNames[name]! : name;
}

/**
 * dm-verity's hash of blocks: alg(salt, block) in format 1, alg(block, salt) in format 0. Any number of calls may be in
 * flight. Source: drivers/md/dm-verity-target.c:verity_hash_init, verity_hash_final. Close it.
 */
export class BlockHasher {
  readonly #tfm: Tfm;
  readonly #salt: Uint8Array;
  readonly #place: 'first' | 'last';
  /** Of blocks of zeroes, by their size. */
  readonly #zeroDigests = new Map<number, Promise<Buffer>>();

  /** @throws VerityError for a hash that nobody here has */
  constructor({ hash, salt, hashType, provider, engine }: BlockHasherOptions) {
    const name = kernelHashName(hash);
    try {
      this.#tfm = new Tfm('hash', name, { ...(provider && { provider }), ...(engine && { engine }) });
    } catch (cause) {
      if (!isUnknown(name, provider, cause)) throw cause;
      const detail = "expected the kernel's name of a hash: sha256, sha512, blake2b-512, ...";
      throw new VerityError(`Hash algorithm ${hash} not supported.`, 'EINVAL', detail, { cause });
    }
    this.#salt = Uint8Array.from(salt);
    this.#place = hashType === 0 ? 'last' : 'first';
  }

  /** Bytes. */
  get digestSize(): number {
    return this.#tfm.info.digestSize!;
  }
  get provider(): Tfm['provider'] {
    return this.#tfm.provider;
  }
  /** What runs it. */
  get engine(): Engine {
    return this.#tfm.engine;
  }

  /**
   * Hashes whole blocks in one call: `src` is any number of them, `dst` has `stride` bytes for each (the digest's size, if
   * not given), of which those behind the digest are left as they are. Rejects with AlgError, RangeError.
   */
  async hash(src: Uint8Array, dst: Uint8Array, blockSize: number, stride = this.digestSize): Promise<void> {
    if (src.length > 0 || dst.length > 0) await this.batch({ src, dst, unitSize: blockSize, dstStride: stride }).run();
  }

  /** Puts the digests of blocks of zeroes every `stride` bytes into `dst`, which is zero between them: all are the same. Rejects as hash(). */
  async hashZeroes(dst: Buffer, blockSize: number, stride: number): Promise<void> {
    let digest = this.#zeroDigests.get(blockSize);
    if (!digest) {
      const bytes = Buffer.alloc(this.digestSize);
      digest = this.hash(Buffer.alloc(blockSize), bytes, blockSize).then(() => bytes);
      this.#zeroDigests.set(blockSize, digest);
    }
    dst.set(await digest);
    for (let filled = stride; filled < dst.length; filled *= 2) dst.copyWithin(filled, 0, filled);
  }

  /** The same to be submitted to an engine. @throws RangeError */
  batch(fields: Pick<BatchFields, 'src' | 'dst' | 'unitSize' | 'dstStride' | 'status'>): Batch {
    const salt = { bytes: this.#salt, place: this.#place };
    return this.#tfm.batch({ ...fields, direction: 'encrypt', ivs: null, salt });
  }

  close(): void {
    this.#tfm.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Nobody here has it: the kernel says so, or there is no AF_ALG to ask and libcrypto does not know it either. */
function isUnknown(name: string, provider: BlockHasherOptions['provider'], error: unknown): boolean {
  if (!(error instanceof AlgError)) return false;
  return error.code === 'ENOENT' || (provider !== 'kernel' && !libraryAlgorithm('hash', name));
}
