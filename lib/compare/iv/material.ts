import { fill } from '../material/fill.js';
import { ReferenceCbc } from '../material/reference-aes.js';

const blockSize = 16;

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: bytes.length / size }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

/**
 * The requests of one size, and what must come of them: all arms and drivers get the same. The expected outputs are
 * ReferenceCbc's, which shares no code with the kernel or the library.
 */
export class IvMaterial {
  readonly key = fill(new Uint8Array(16), 1);
  /** Of the chain's first request. */
  readonly iv = fill(new Uint8Array(blockSize), 2);
  /** Each request's own, for the arms without a chain. */
  readonly ivs: Uint8Array[];
  readonly plain: Uint8Array[];
  /** Encrypted as one stream. */
  readonly chained: Uint8Array[];
  /** Encrypted each with its own IV. */
  readonly separate: Uint8Array[];
  /** Where outputs go. Trials run one at a time, so they share it. */
  readonly out: Uint8Array[];
  readonly #allOut: Uint8Array;

  constructor(
    readonly bytes: number,
    readonly requests: number,
  ) {
    const size = bytes * requests;
    this.ivs = cut(fill(new Uint8Array(blockSize * requests), 3), blockSize);
    this.plain = cut(fill(new Uint8Array(size), 4), bytes);
    this.chained = cut(new Uint8Array(size), bytes);
    this.separate = cut(new Uint8Array(size), bytes);
    this.#allOut = new Uint8Array(size);
    this.out = cut(this.#allOut, bytes);
    const stream = new ReferenceCbc(this.key, this.iv);
    for (const [i, plain] of this.plain.entries()) {
      stream.encrypt(plain, this.chained[i]!);
      new ReferenceCbc(this.key, this.ivs[i]!).encrypt(plain, this.separate[i]!);
    }
  }

  /** So that an output which is never written cannot pass for that of the run before. */
  wipeOutputs(): void {
    this.#allOut.fill(0);
  }

  /** How many of the outputs are not as expected. */
  countWrong(expected: Uint8Array[]): number {
    return this.out.filter((output, i) => Buffer.compare(output, expected[i]!) !== 0).length;
  }
}
