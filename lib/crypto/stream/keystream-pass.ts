import { noBytes } from '../../base/bytes.js';
import type { IvRule } from '../request/iv.js';
import type { Pass, PassFields } from './pass.js';
import { type Steps, stepSize } from './steps.js';

/** A multiple of the block of every such cipher: 16 for those of aes, 64 for chacha20. */
const chunk = 64;

/**
 * A cipher that works by bytes (ctr, cfb, ofb, chacha20): any number of bytes gives as many at once, as from libcrypto. A request always begins at
 * a chunk's start, for only there an IV can say where it begins; so the bytes of a chunk that have gone through before go in front once more.
 */
export class KeystreamPass implements Pass {
  readonly #fields: PassFields;
  readonly #rule: IvRule;
  /** chacha20 counts blocks with 32 bits in front of its nonce. */
  readonly #isChacha: boolean;
  /** The bytes of the current chunk that have gone through. */
  #before: Uint8Array = noBytes;

  constructor(fields: PassFields, rule: IvRule) {
    this.#fields = fields;
    this.#rule = rule;
    this.#isChacha = fields.request.tfm.info.algorithm === 'chacha20';
  }

  *update(data: Uint8Array): Steps {
    if (data.length === 0) return noBytes;
    const { request, direction } = this.#fields;
    const iv = this.#fields.iv!;
    const skipped = this.#before.length;
    const src = skipped ? Buffer.concat([this.#before, data]) : data;
    const dst = Buffer.allocUnsafe(src.length);
    for (let at = 0; at < src.length; at += request.src.length) {
      const end = at + Math.min(stepSize, this.#isChacha ? bytesToWrap(iv) : stepSize);
      request.iv = iv;
      request.src = src.subarray(at, end);
      request.dst = dst.subarray(at, end);
      yield request;
      const whole = request.src.subarray(0, request.src.length - (request.src.length % chunk));
      this.#before = Buffer.from(request.src.subarray(whole.length));
      if (whole.length === 0) continue;
      this.#rule.advance(direction, iv, whole, request.dst.subarray(0, whole.length), iv);
      if (this.#isChacha && bytesToWrap(iv) === 2 ** 38) carry(iv);
    }
    return dst.subarray(skipped);
  }

  // biome-ignore lint/correctness/useYield: nothing is left to run.
  *final(): Steps {
    return noBytes;
  }
}

/** Bytes until the block counter begins at 0 again. */
function bytesToWrap(iv: Uint8Array): number {
  return (2 ** 32 - new DataView(iv.buffer, iv.byteOffset).getUint32(0, true)) * chunk;
}

/** The kernel's counter leaves the nonce alone when it begins again; libcrypto, whose bytes a reader of node:crypto expects, carries into the nonce. */
function carry(iv: Uint8Array): void {
  const view = new DataView(iv.buffer, iv.byteOffset);
  view.setUint32(4, (view.getUint32(4, true) + 1) % 2 ** 32, true);
}
