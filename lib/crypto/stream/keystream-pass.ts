import { noBytes } from '../../base/bytes.js';
import type { IvRule } from '../request/iv.js';
import type { Pass, PassFields } from './pass.js';
import { type Steps, stepSize } from './steps.js';

/** A multiple of the block of every such cipher: 16 for ctr(aes), 64 for chacha20. */
const chunk = 64;

/**
 * A cipher whose IV is a counter (ctr, chacha20): any number of bytes gives as many at once, as from libcrypto. A request
 * always begins at a chunk's start, for only there an IV can say where it begins; so the bytes of a chunk that have gone
 * through before go in front once more, as zeros.
 */
export class KeystreamPass implements Pass {
  readonly #fields: PassFields;
  readonly #rule: IvRule;
  /** Bytes of the current chunk that have been used. */
  #offset = 0;

  constructor(fields: PassFields, rule: IvRule) {
    this.#fields = fields;
    this.#rule = rule;
  }

  *update(data: Uint8Array): Steps {
    if (data.length === 0) return noBytes;
    const { request, direction } = this.#fields;
    const iv = this.#fields.iv!;
    const skipped = this.#offset;
    const src = skipped ? Buffer.concat([Buffer.alloc(skipped), data]) : data;
    const dst = Buffer.allocUnsafe(src.length);
    for (let at = 0; at < src.length; at += stepSize) {
      request.iv = iv;
      request.src = src.subarray(at, at + stepSize);
      request.dst = dst.subarray(at, at + stepSize);
      yield request;
      this.#offset = request.src.length % chunk;
      const whole = request.src.subarray(0, request.src.length - this.#offset);
      this.#rule.advance(direction, iv, whole, request.dst, iv);
    }
    return dst.subarray(skipped);
  }

  // biome-ignore lint/correctness/useYield: nothing is left to run.
  *final(): Steps {
    return noBytes;
  }
}
