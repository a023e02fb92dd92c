import { noBytes, rangeError, wrongSize } from '../../base/bytes.js';
import type { Pass, PassFields } from './pass.js';
import type { Steps } from './steps.js';

/**
 * A cipher that takes a message whole in one request, because nothing goes on from one request to the next: xts, and all
 * AEADs, which have their tag, and whose plaintext must not leave before the tag has been checked. The message is
 * collected, by reference, until its end.
 */
export class WholePass implements Pass {
  readonly #fields: PassFields;
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  constructor(fields: PassFields) {
    this.#fields = fields;
  }

  /** @throws RangeError as soon as the message has become longer than a request may be */
  // biome-ignore lint/correctness/useYield: nothing runs before the end.
  *update(data: Uint8Array): Steps {
    const length = this.#length + data.length;
    this.checkLength(length);
    this.#length = length;
    this.#parts.push(data);
    return noBytes;
  }

  *final(): Steps {
    const { request, iv } = this.#fields;
    const src = this.joined([]);
    if (src.length === 0) return noBytes;
    const { blockSize = 1 } = request.tfm.info;
    if (src.length < blockSize)
      throw wrongSize('data', `at least ${blockSize} bytes for ${request.tfm.name}`, src.length);
    request.iv = iv;
    request.src = src;
    request.dst = Buffer.allocUnsafe(src.length);
    yield request;
    return request.dst;
  }

  protected joined(before: Uint8Array[], after: Uint8Array[] = []): Uint8Array {
    const parts = [...before, ...this.#parts, ...after];
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** @throws RangeError when `length` bytes of data and `overhead` of tag and associated data do not fit a request */
  protected checkLength(length: number, overhead = 0): void {
    const { tfm } = this.#fields.request;
    const most = tfm.maxRequest() - overhead;
    if (length <= most) return;
    const others = tfm.provider === 'kernel' ? "; the provider 'library' takes longer ones" : '';
    const remedy = `it goes whole through one request: cut it into messages, each with its own IV${others}`;
    throw rangeError(`data: expected at most ${most} bytes for ${tfm.name}, got ${length}; ${remedy}`);
  }
}
