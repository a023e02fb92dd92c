import type { Batch } from '../../alg/batch.js';
import type { Answer } from '../../alg/engine.js';
import type { Direction } from '../../alg/iv.js';
import type { ProviderName } from '../../alg/provider.js';
import type { Tfm, TfmOptions } from '../../alg/tfm.js';
import { type MakeMempool, type MemoryUsage, type Mempool, makeMempool as ownMempool } from '../../queue/mempool.js';
import { Reserved } from '../../queue/reserved.js';
import { CryptError } from './error.js';
import type { IvMode, Part } from './iv/iv.js';
import { wipeKey } from './key.js';
import type { KeySerial } from './keyring.js';
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

/** Sectors that the cipher failed on. */
export class SectorError extends Error {
  override readonly name = 'SectorError';
  constructor(
    /** 512-byte units, as given to convert; the first of each crypto sector. */
    readonly sectors: number[],
    options: ErrorOptions,
  ) {
    const [first] = sectors;
    const more = sectors.length > 1 ? ` and ${sectors.length - 1} more` : '';
    super(`sector ${first}${more}: ${(options.cause as Error).message}`, options);
  }
}

/**
 * dm-crypt's conversion: bytes and the number of their first sector in, bytes out. Any number may run at once.
 * One Batch a bio: document 3's lesson. Source: drivers/md/dm-crypt.c:crypt_convert. Close it: it holds the key.
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
    const own = key instanceof Uint8Array ? Uint8Array.from(key) : key;
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

  /**
   * Converts whole sectors. `sector`: of the first, in 512-byte units, relative to the target. `dst` is as long as `src`, and may be the
   * same bytes. `engine` runs it, the cipher's own if not given. Returns whether any of it went asynchronous. @throws RangeError, SectorError
   */
  async convert(
    direction: Direction,
    sector: number,
    src: Uint8Array,
    dst: Uint8Array,
    engine = this.#tfms[0]!.engine,
  ): Promise<boolean> {
    const { sectorSize } = this;
    if (src.length % sectorSize || dst.length !== src.length)
      throw new RangeError(
        `src: expected whole sectors of ${sectorSize} bytes and dst as long, got ${src.length} and ${dst.length}`,
      );
    if (src.length === 0) return false;
    const step = sectorSize / 512;
    const first = BigInt.asUintN(64, this.#ivOffset + BigInt(sector));
    const numbers = sectorNumbers(first, src.length / sectorSize, step, this.#ivShift);
    // The key goes by 512-byte sectors, whatever the sector's size (crypt_alloc_req_skcipher: cc_sector & (tfms_count - 1)).
    const keys = this.#tfms.length;
    const firstKey = Number(first & 0xffffffffn) % keys;
    const part = { direction, key: firstKey, numbers, sectorSize, src, dst, engine };
    const outcome = new Outcome();
    if (keys === 1 || step % keys === 0) await (await this.#submit(part, outcome, (index) => index)).end;
    else await this.#convertByKey(part, step, outcome);
    const { failed, cause, asynchronous } = outcome;
    if (failed.length === 0) return asynchronous;
    throw new SectorError(
      failed.map((index) => sector + index * step).sort((a, b) => a - b),
      { cause },
    );
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
        const { answer, end } = await this.#submit(part, outcome, indexOf);
        const after = end.then(() => {
          for (let i = 0; i < indexes; i++)
            whole.dst.set(part.dst.subarray(i * sectorSize, (i + 1) * sectorSize), indexOf(i) * sectorSize);
          requests.give(request);
        });
        if (answer === 'done') await after;
        else ends.push(after);
        if (answer === 'busy') await engine.room();
      }
    await Promise.all(ends);
  }

  /** Makes the IVs of a part and gives it to its engine; the sectors that fail are noted under the index that `indexOf` gives them. */
  async #submit(part: Part, outcome: Outcome, indexOf: (index: number) => number): Promise<Submitted> {
    const tfm = this.#tfms[part.key]!;
    const iv = this.#iv;
    const { direction, sectorSize, src, dst, engine } = part;
    const count = src.length / sectorSize;
    const failAll = (cause: unknown) =>
      outcome.fail(
        Array.from({ length: count }, (_, index) => indexOf(index)),
        cause,
      );
    try {
      let from = src;
      if (iv?.rewrites === direction) {
        if (src !== dst) dst.set(src);
        from = dst;
        await iv.before!(part);
      }
      const ivs = this.#ivSize ? new Uint8Array(count * this.#ivSize) : null;
      if (ivs) await iv?.fill(part, ivs, this.#ivSize);
      const batch = tfm.batch({ direction, unitSize: sectorSize, ivs, src: from, dst });
      let settle: (asynchronous: boolean) => void;
      const done = new Promise<boolean>((resolve) => {
        settle = resolve;
      });
      const answer = engine.submit(batch, (_, asynchronous) => settle(asynchronous));
      if (answer === 'done') settle!(false);
      const end = done.then(async (asynchronous) => {
        outcome.asynchronous ||= asynchronous;
        if (batch.failure) return outcome.failUnits(batch, indexOf);
        if (ivs) await iv?.after?.(part, ivs);
      });
      return { answer, end: end.catch(failAll) };
    } catch (error) {
      failAll(error);
      return { answer: 'done', end: Promise.resolve() };
    }
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

interface Submitted {
  answer: Answer;
  /** Never rejects: failures are in the outcome. */
  end: Promise<void>;
}

/** What became of a bio. */
class Outcome {
  asynchronous = false;
  /** Indexes of sectors. */
  readonly failed: number[] = [];
  cause: unknown;

  fail(indexes: number[], cause: unknown): void {
    for (const index of indexes) this.failed.push(index);
    this.cause ??= cause;
  }
  /** Those units of a batch that say so, or all where it did not come to it. */
  failUnits({ status, failure }: Batch, indexOf: (index: number) => number): void {
    const units = [...status.keys()];
    const failed = units.filter((unit) => status[unit]! < 0);
    this.fail((failed.length ? failed : units).map(indexOf), failure);
  }
}

/** A part's own bytes, where its sectors do not lie together in the bio. */
interface KeyRequest {
  bytes: Uint8Array;
  numbers: Uint32Array;
}

const requestBytes = 65536;
/** dm-io's reserved_bio_based_ios. */
const defaultReserve = 16;

function keyRequest(sectorSize: number, sectors: number): KeyRequest {
  return { bytes: new Uint8Array(sectors * sectorSize), numbers: new Uint32Array(sectors * 2) };
}

/** Nobody who holds one waits for the device below: a bio has given all back before it goes there, or it has been there. */
function keyRequests(
  sectorSize: number,
  { reserve = defaultReserve, makeMempool = ownMempool }: Pick<CryptOptions, 'reserve' | 'makeMempool'>,
): Mempool<KeyRequest> {
  const sectors = requestBytes / sectorSize;
  return makeMempool('requests of a key', {
    reserve,
    allocate: () => keyRequest(sectorSize, sectors),
    bytes: requestBytes + sectors * 8,
  });
}

/** The sectors `indexOf(0)` to `indexOf(count - 1)` of a bio, moved together. */
function gather(whole: Part, { bytes, numbers }: KeyRequest, count: number, indexOf: (index: number) => number): Part {
  const { sectorSize, src } = whole;
  for (let i = 0; i < count; i++) {
    const index = indexOf(i);
    bytes.set(src.subarray(index * sectorSize, (index + 1) * sectorSize), i * sectorSize);
    numbers.set(whole.numbers.subarray(index * 2, index * 2 + 2), i * 2);
  }
  const own = bytes.subarray(0, count * sectorSize);
  return { ...whole, numbers: numbers.subarray(0, count * 2), src: own, dst: own };
}

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
