import { rangeError } from '../../base/bytes.js';
import type { MakeMempool, MemoryUsage, Mempool } from '../../base/mempool.js';
import { Reserved } from '../../base/reserved.js';
import { copySecret } from '../../base/secret.js';
import type { Answer, Engine } from '../engine/engine.js';
import type { ProviderName } from '../provider/provider.js';
import type { Batch } from '../request/batch.js';
import type { Direction } from '../request/iv.js';
import type { Tfm, TfmOptions } from '../request/tfm.js';
import { CryptError } from './error.js';
import type { IvMode, Part } from './iv/iv.js';
import { wipeKey } from './key.js';
import { gather, type KeyRequest, keyRequest, keyRequests, requestBytes } from './key-request.js';
import type { KeySerial } from './keyring.js';
import { type IndexOf, Outcome, type SectorError } from './outcome.js';
import { sectorNumbers } from './sector-numbers.js';
import { type CipherSpec, parseCipher } from './spec.js';
import { openTfms } from './tfms.js';

export interface CryptOptions extends Pick<TfmOptions, 'provider' | 'engine'> {
  /** As a table line has it: 'aes-xts-plain64', 'capi:cbc(aes)-essiv:sha256'. */
  cipher: string;
  /** All of it: multi-key's keys, tcw's whitening and so on are in it. Copied; the caller's bytes stay the caller's. Or a key in the kernel. */
  key: Uint8Array | KeySerial;
  /** Bytes: 512, 1024, 2048 or 4096. Default 512. */
  sectorSize?: number;
  /** IVs count crypto sectors, not 512-byte ones. */
  ivLargeSectors?: boolean;
  /** Added to sector numbers, in 512-byte units, modulo 2^64. Default 0. */
  ivOffset?: bigint;
  /** Requests that a volume with several keys keeps for itself. Default 16. */
  reserve?: number;
  /** For experiments: where those requests come from. Default: a mempool of its own. */
  makeMempool?: MakeMempool;
}

/**
 * dm-crypt's conversion: bytes and the number of their first sector in, bytes out. Any number may run at once.
 * One Batch a bio: Xu 2025's lesson. Source: drivers/md/dm-crypt.c:crypt_convert. Close it: it holds the key.
 */
export class CryptConvert {
  readonly spec: CipherSpec;
  readonly sectorSize: number;
  readonly #ivOffset: bigint;
  readonly #ivShift: number;
  readonly #ivSize: number;
  readonly #tfms: Tfm[];
  readonly #iv: IvMode | undefined;
  /** Of volumes with several keys, see #convertByKey. */
  readonly #requests: Mempool<KeyRequest> | undefined;

  /** @throws CryptError, in the kernel's words */
  constructor(options: CryptOptions) {
    const { cipher, key, sectorSize = 512, ivLargeSectors = false, ivOffset = 0n, provider, engine } = options;
    checkGeometry(sectorSize, ivOffset);
    this.spec = parseCipher(cipher);
    this.sectorSize = sectorSize;
    this.#ivOffset = ivOffset;
    this.#ivShift = ivLargeSectors ? Math.log2(sectorSize / 512) : 0;
    if (this.spec.keyCount > 1) this.#requests = keyRequests(sectorSize, options);
    const own = key instanceof Uint8Array ? copySecret(key) : key;
    try {
      const opened = openTfms(this.spec, own, { ...(provider && { provider }), ...(engine && { engine }) });
      this.#tfms = opened.tfms;
      this.#ivSize = opened.ivSize;
      this.#iv = opened.iv(sectorSize);
    } finally {
      wipeKey(own);
    }
  }

  /** Whose crypto it is. */
  get provider(): ProviderName {
    return this.#tfms[0]!.provider;
  }

  /** As `start`, as a promise: whether any of it went asynchronous. @throws RangeError, SectorError */
  convert(
    direction: Direction,
    sector: number,
    src: Uint8Array,
    dst: Uint8Array,
    engine = this.#tfms[0]!.engine,
  ): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.start(direction, sector, src, dst, engine, (failure, asynchronous) =>
        failure ? reject(failure) : resolve(asynchronous),
      );
    });
  }

  /**
   * Converts whole sectors. `sector`: of the first, in 512-byte units, relative to the target. `dst` is as long as `src`, and may be the
   * same bytes. `done` is called once, before it returns where nothing has to be waited for: a short bio is hardly more than its steps, and
   * a promise for each would be most of it. @throws RangeError
   */
  start(direction: Direction, sector: number, src: Uint8Array, dst: Uint8Array, engine: Engine, done: Converted): void {
    const { sectorSize } = this;
    if (src.length % sectorSize || dst.length !== src.length)
      throw rangeError(
        `src: expected whole sectors of ${sectorSize} bytes and dst as long, got ${src.length} and ${dst.length}`,
      );
    if (src.length === 0) {
      done(null, false);
      return;
    }
    const step = sectorSize / 512;
    const count = src.length / sectorSize;
    const first = BigInt.asUintN(64, this.#ivOffset + BigInt(sector));
    // The key goes by 512-byte sectors, whatever the sector's size (crypt_alloc_req_skcipher: cc_sector & (tfms_count - 1)).
    const keys = this.#tfms.length;
    const key = Number(first & 0xffffffffn) % keys;
    const outcome = new Outcome();
    const ended = () => done(outcome.error(sector, step), outcome.asynchronous);
    const failAll = (cause: unknown) => {
      outcome.failAll(count, itself, cause);
      ended();
    };
    let numbers: Uint32Array;
    try {
      numbers = sectorNumbers(first, count, step, this.#ivShift);
    } catch (error) {
      failAll(error); // no memory
      return;
    }
    const part = { direction, key, numbers, sectorSize, src, dst, engine };
    if (keys === 1 || step % keys === 0) this.#submit(part, outcome, itself, ended);
    else this.#convertByKey(part, step, outcome).then(ended, failAll);
  }

  /**
   * The sectors of each key are moved together, into requests of up to 64 KiB, the first of which is the bio's own.
   * Source: drivers/md/dm-crypt.c:crypt_convert, crypt_alloc_req.
   */
  async #convertByKey(whole: Part, step: number, outcome: Outcome): Promise<void> {
    const { sectorSize, engine } = whole;
    const keys = this.#tfms.length;
    const count = whole.src.length / sectorSize;
    const most = Math.min(count, requestBytes / sectorSize);
    const requests = new Reserved(keyRequest(sectorSize, most), this.#requests!);
    const ends: Promise<void>[] = [];
    const stride = keys / step;
    for (let from = 0; from < Math.min(stride, count); from++)
      for (let at = from; at < count; at += stride * most) {
        const request = await requests.take();
        const indexes = Math.min(most, Math.ceil((count - at) / stride));
        const indexOf = (index: number) => at + index * stride;
        const key = (whole.key + from * step) % keys;
        const part = gather({ ...whole, key }, request, indexes, indexOf);
        const ended = () => {
          for (let i = 0; i < indexes; i++)
            whole.dst.set(part.dst.subarray(i * sectorSize, (i + 1) * sectorSize), indexOf(i) * sectorSize);
          requests.give(request);
        };
        let submitted: void | Promise<void>;
        const end = new Promise<void>((resolve) => {
          submitted = this.#submit(part, outcome, indexOf, resolve);
        });
        ends.push(end.then(ended));
        await submitted!;
        await engine.room();
      }
    await Promise.all(ends);
  }

  /**
   * Makes the IVs of a part and gives it to its engine. `ended` is called once, perhaps at once, and the sectors that fail are noted under the
   * index that `indexOf` gives them. A promise, where it could not be given to the engine at once.
   */
  #submit(part: Part, outcome: Outcome, indexOf: IndexOf, ended: () => void): void | Promise<void> {
    const count = part.numbers.length / 2;
    const fail = (cause: unknown) => {
      outcome.failAll(count, indexOf, cause);
      ended();
    };
    let ivs: Uint8Array | null;
    let prepared: void | Promise<void>;
    try {
      ivs = this.#ivSize ? new Uint8Array(count * this.#ivSize) : null;
      prepared = this.#prepare(part, ivs);
    } catch (error) {
      return fail(error);
    }
    const dispatch = () => this.#dispatch(part, ivs, outcome, indexOf, ended, fail);
    return prepared ? prepared.then(dispatch, fail) : dispatch();
  }

  #prepare(part: Part, ivs: Uint8Array | null): void | Promise<void> {
    const iv = this.#iv;
    if (iv?.rewrites !== part.direction) return ivs ? iv?.fill(part, ivs, this.#ivSize) : undefined;
    if (part.src !== part.dst) part.dst.set(part.src);
    return Promise.resolve(iv.before!(part)).then(() => iv.fill(part, ivs!, this.#ivSize));
  }

  #dispatch(
    part: Part,
    ivs: Uint8Array | null,
    outcome: Outcome,
    indexOf: IndexOf,
    ended: () => void,
    fail: (cause: unknown) => void,
  ): void {
    const { direction, sectorSize, dst, engine } = part;
    const src = this.#iv?.rewrites === direction ? dst : part.src;
    let batch: Batch;
    const finish = (_: number, asynchronous: boolean) => {
      outcome.asynchronous ||= asynchronous;
      if (batch.failure) {
        outcome.failUnits(batch, indexOf);
        ended();
        return;
      }
      let after: void | Promise<void>;
      try {
        after = ivs ? this.#iv?.after?.(part, ivs) : undefined;
      } catch (error) {
        fail(error);
        return;
      }
      if (after) after.then(ended, fail);
      else ended();
    };
    let answer: Answer;
    try {
      batch = this.#tfms[part.key]!.batch({ direction, unitSize: sectorSize, ivs, src, dst });
      answer = batch.submitTo(engine, finish);
    } catch (error) {
      fail(error);
      return;
    }
    if (answer === 'done') finish(batch.result, false);
  }

  /** Bytes of the requests that this volume holds. */
  memoryUsage(): MemoryUsage {
    return this.#requests?.memoryUsage() ?? { reserved: 0, inUse: 0 };
  }

  /** Wipes the keys. */
  close(): void {
    for (const tfm of this.#tfms) tfm.close();
    this.#iv?.close?.();
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

const itself: IndexOf = (index) => index;

/** What became of a conversion, and whether any of it went asynchronous. */
export type Converted = (failure: SectorError | null, asynchronous: boolean) => void;

/** Source: drivers/md/dm-crypt.c:crypt_ctr_optional, crypt_ctr. */
function checkGeometry(sectorSize: number, ivOffset: bigint): void {
  if (![512, 1024, 2048, 4096].includes(sectorSize))
    throw new CryptError(
      'Invalid feature value for sector_size',
      'sector_size',
      `${sectorSize} is not 512, 1024, 2048 or 4096`,
    );
  if (ivOffset < 0n || ivOffset >= 1n << 64n || ivOffset % BigInt(sectorSize / 512))
    throw new CryptError(
      'Invalid iv_offset sector',
      'iv_offset',
      `${ivOffset} is no multiple of ${sectorSize / 512} sectors, or too large`,
    );
}
