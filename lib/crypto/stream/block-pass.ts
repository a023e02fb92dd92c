import { noBytes, wrongSize } from '../../base/bytes.js';
import type { IvRule } from '../request/iv.js';
import { pad, unpad } from './padding.js';
import type { Pass, PassFields } from './pass.js';
import { type Steps, stepSize } from './steps.js';

export interface BlockPassFields extends PassFields {
  /** How the IV goes on; undefined: the op carries it itself (Tfm.carriesIv), or there is none (ecb). */
  rule: IvRule | undefined;
  /** Only multiples of this many bytes go through before the end. */
  unit: number;
  /** The whole message must be a multiple of this. */
  blockSize: number;
  /** PKCS#7, which makes any length one. */
  padding: boolean;
}

/** A cipher that chains blocks (cbc, cfb, ofb) or has no IV (ecb): what is not a whole unit yet waits for more. */
export class BlockPass implements Pass {
  readonly #fields: BlockPassFields;
  #iv: Uint8Array | null;
  #rest: Uint8Array = noBytes;
  #length = 0;

  constructor(fields: BlockPassFields) {
    this.#fields = fields;
    this.#iv = fields.iv;
  }

  *update(data: Uint8Array): Steps {
    const { unit, padding, direction } = this.#fields;
    this.#length += data.length;
    const all = this.#rest.length ? Buffer.concat([this.#rest, data]) : data;
    // The last block of a ciphertext holds the padding: whether a block is the last shows when something follows it.
    const held = padding && direction === 'decrypt' ? 1 : 0;
    const ready = all.length > held ? all.length - held - ((all.length - held) % unit) : 0;
    this.#rest = Buffer.from(all.subarray(ready));
    return yield* this.#run(all.subarray(0, ready));
  }

  *final(): Steps {
    const { padding, direction, blockSize, request } = this.#fields;
    const alg = request.tfm.name;
    if (padding && direction === 'encrypt') return yield* this.#run(pad(this.#rest, blockSize));
    if (this.#length % blockSize) throw wrongSize('data', `a multiple of ${blockSize} bytes for ${alg}`, this.#length);
    if (!padding) return yield* this.#run(this.#rest);
    if (this.#length === 0) throw wrongSize('data', `at least the ${blockSize} bytes of the padding for ${alg}`, 0);
    return unpad(alg, yield* this.#run(this.#rest));
  }

  *#run(src: Uint8Array): Steps {
    const { request, direction, rule } = this.#fields;
    const dst = Buffer.allocUnsafe(src.length);
    for (let at = 0; at < src.length; at += stepSize) {
      request.iv = this.#iv;
      request.src = src.subarray(at, at + stepSize);
      request.dst = dst.subarray(at, at + stepSize);
      yield request;
      if (!rule) this.#iv = null;
      else if (request.src.length >= this.#iv!.length)
        rule.advance(direction, this.#iv!, request.src, request.dst, this.#iv!);
    }
    return dst;
  }
}
