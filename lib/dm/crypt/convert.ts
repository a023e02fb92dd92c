import type { Batch } from '../../alg/batch.js';
import type { Direction } from '../../alg/iv.js';
import type { Tfm, TfmOptions } from '../../alg/tfm.js';
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

  /** @throws CryptError, in the kernel's words */
  constructor(options: CryptOptions) {
    const { cipher, key, sectorSize = 512, ivLargeSectors = false, ivOffset = 0n, provider, engine } = options;
    checkGeometry(sectorSize, ivOffset);
    this.spec = parseCipher(cipher);
    this.sectorSize = sectorSize;
    this.#ivOffset = ivOffset;
    this.#ivShift = ivLargeSectors ? Math.log2(sectorSize / 512) : 0;
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
  get provider(): Tfm['provider'] | 'none' {
    return this.#tfms[0]?.provider ?? 'none';
  }

  /**
   * Converts whole sectors. `sector`: of the first, in 512-byte units, relative to the target. `dst` is as long as `src`, and may be
   * the same bytes. @throws RangeError, SectorError
   */
  async convert(direction: Direction, sector: number, src: Uint8Array, dst: Uint8Array): Promise<void> {
    const { sectorSize } = this;
    if (src.length % sectorSize || dst.length !== src.length)
      throw new RangeError(
        `src: expected whole sectors of ${sectorSize} bytes and dst as long, got ${src.length} and ${dst.length}`,
      );
    if (src.length === 0) return;
    const count = src.length / sectorSize;
    const step = sectorSize / 512;
    const first = BigInt.asUintN(64, this.#ivOffset + BigInt(sector));
    const numbers = sectorNumbers(first, count, step, this.#ivShift);
    const keys = this.#tfms.length || 1;
    const failed = (indexes: number[], cause: unknown) => {
      throw new SectorError(
        indexes.map((index) => sector + index * step).sort((a, b) => a - b),
        { cause },
      );
    };
    // The key goes by 512-byte sectors, whatever the sector's size (crypt_alloc_req_skcipher: cc_sector & (tfms_count - 1)).
    const keyOf = (index: number) => (Number(first & 0xffffffffn) + index * step) % keys;
    if (keys === 1 || step % keys === 0) {
      const part = { direction, key: keyOf(0), numbers, sectorSize, src, dst };
      return this.#run(part).catch((error) => failed(failedUnits(error), causeOf(error)));
    }
    const bad: number[] = [];
    let cause: unknown;
    await Promise.all(
      groupByKey(count, keyOf).map(async ({ key, indexes }) => {
        const part = gather({ direction, key, numbers, sectorSize, src, dst }, indexes);
        try {
          await this.#run(part);
          indexes.forEach((index, at) => {
            dst.set(part.dst.subarray(at * sectorSize, (at + 1) * sectorSize), index * sectorSize);
          });
        } catch (error) {
          bad.push(...failedUnits(error).map((at) => indexes[at]!));
          cause ??= causeOf(error);
        }
      }),
    );
    if (bad.length) failed(bad, cause);
  }

  /** Wipes the keys. */
  close(): void {
    for (const tfm of this.#tfms) tfm.close();
    this.#iv?.close?.();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  async #run(part: Part): Promise<void> {
    const tfm = this.#tfms[part.key];
    const iv = this.#iv;
    const { direction, sectorSize, src, dst } = part;
    if (!tfm) return void (src !== dst && dst.set(src)); // cipher_null
    let from = src;
    if (iv?.rewrites === direction) {
      if (src !== dst) dst.set(src);
      from = dst;
      await iv.before!(part);
    }
    const ivs = this.#ivSize ? new Uint8Array((src.length / sectorSize) * this.#ivSize) : null;
    if (ivs) await iv?.fill(part, ivs, this.#ivSize);
    const batch = tfm.batch({ direction, unitSize: sectorSize, ivs, src: from, dst });
    try {
      await batch.run();
    } catch (cause) {
      throw new BatchError(batch, cause);
    }
    if (ivs) await iv?.after?.(part, ivs);
  }
}

/** A batch and what it failed of. */
class BatchError extends Error {
  constructor(
    readonly batch: Batch,
    override readonly cause: unknown,
  ) {
    super();
  }
}

/** Which of a part's sectors failed: those that the batch says, or all where it did not come to it. */
function failedUnits(error: unknown): number[] {
  if (!(error instanceof BatchError)) throw error;
  const units = [...error.batch.status.keys()];
  const failed = units.filter((unit) => error.batch.status[unit]! < 0);
  return failed.length ? failed : units;
}

function causeOf(error: unknown): unknown {
  return error instanceof BatchError ? error.cause : error;
}

function groupByKey(count: number, keyOf: (index: number) => number) {
  const groups = new Map<number, { key: number; indexes: number[] }>();
  for (let index = 0; index < count; index++) {
    const key = keyOf(index);
    const group = groups.get(key) ?? { key, indexes: [] };
    group.indexes.push(index);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** The sectors of one key, moved together. */
function gather(part: Part, indexes: number[]): Part {
  const { sectorSize, src } = part;
  const bytes = new Uint8Array(indexes.length * sectorSize);
  const numbers = new Uint32Array(indexes.length * 2);
  indexes.forEach((index, at) => {
    bytes.set(src.subarray(index * sectorSize, (index + 1) * sectorSize), at * sectorSize);
    numbers.set(part.numbers.subarray(index * 2, index * 2 + 2), at * 2);
  });
  return { ...part, numbers, src: bytes, dst: bytes };
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
