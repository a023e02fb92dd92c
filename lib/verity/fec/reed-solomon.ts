import { binding, type CodeHandle, type ParityHandle, type WordArguments } from '../../base/binding.js';
import { checkBytes, checkInteger, wrongSize } from '../../base/bytes.js';
import { ELIBBAD } from '../../base/errno.js';
import type { Done, Engine, Work } from '../../crypto/engine/engine.js';
import { sharedEngine } from '../../crypto/engine/shared-engine.js';
import { algError } from '../../crypto/error.js';
import type { TfmOptions } from '../../crypto/request/tfm.js';

/** Symbols of a word. */
export const wordSize = 255;
export const minRoots = 2;
export const maxRoots = 24;

/** What a decoding says. */
export interface Decoded {
  /** Of each word: symbols corrected, or -1 where the code cannot correct it. */
  status: Int16Array;
  /** Of each of the 255 symbols: in how many words it was corrected. */
  changed: Uint32Array;
  /** Words that could not be corrected. */
  failed: number;
}

/**
 * The code RS(255, 255 - roots) of dm-verity's FEC (drivers/md/dm-verity-fec.c): GF(2^8) with the polynomial 0x11d, the generator's zeroes
 * being a^0, a^1, ... It corrects errors at unknown places and erasures as long as 2 * errors + erasures <= roots.
 */
export class ReedSolomon {
  readonly roots: number;
  /** Symbols of a word that are the message. */
  readonly messageSize: number;
  readonly handle: CodeHandle;
  readonly engine: Engine;

  /**
   * Runs on worker lanes, or on an engine of the caller's. `path`: which of binding().galois_paths() multiplies; default the fastest.
   * @throws RangeError; AlgError ELIBBAD where this processor computes another code
   */
  constructor(roots: number, engine?: TfmOptions['engine'], path = 0) {
    checkInteger('roots', roots, minRoots, maxRoots);
    this.roots = roots;
    this.messageSize = wordSize - roots;
    // The kernel's AIO runs nothing but the kernel's ciphers.
    this.engine = typeof engine === 'object' && engine.name !== 'aio' ? engine : sharedEngine('lanes');
    this.handle = opened(binding().rs_open(roots, path));
  }

  /**
   * Corrects words side by side, in place. `message` is `messageSize` rows of equal length, one symbol of each word; `parity` all parity of the
   * first word, then of the second, as on disk. Of the message only the first `rows` rows exist: the others are zeroes. `erased` are the symbols
   * (0 to 254, parity last) that are known to be wrong, at most `roots`. A word beyond the code's capacity stays as it is, where that can be told.
   * @throws RangeError, TypeError, AlgError
   */
  async decode(message: Uint8Array, parity: Uint8Array, rows: number, erased: readonly number[]): Promise<Decoded> {
    checkBytes('message', message);
    checkBytes('parity', parity);
    checkInteger('rows', rows, 0, this.messageSize);
    const columns = parity.length / this.roots;
    if (!Number.isInteger(columns) || columns === 0)
      throw wrongSize('parity', `a multiple of ${this.roots}`, parity.length);
    if (message.length !== columns * this.messageSize)
      throw wrongSize('message', `${columns * this.messageSize} bytes`, message.length);
    if (erased.length > this.roots) throw wrongSize('erased', `at most ${this.roots} symbols`, erased.length);
    for (const symbol of erased) checkInteger('erased', symbol, 0, wordSize - 1);
    const status = new Int16Array(columns);
    const changed = new Uint32Array(wordSize);
    const words: WordArguments = [this.handle, message, parity, rows, Uint8Array.from(erased), status, changed];
    const failed = await run(this.engine, {
      execute: () => binding().rs_decode(...words),
      dispatch: (engine, id) => binding().engine_submit_rs_decode(engine, id, ...words),
    });
    return { status, changed, failed };
  }
}

/**
 * The parity of a window of consecutive codewords, which grows as the bytes of the message come by. Codeword i is the bytes i, i + codewords,
 * i + 2 * codewords, ... of the message.
 */
export class Parity {
  readonly #code: ReedSolomon;
  readonly #handle: ParityHandle;

  /** Holds `columns * roots` bytes. @throws AlgError ENOMEM */
  constructor(code: ReedSolomon, codewords: number, columns: number) {
    this.#code = code;
    this.#handle = opened(binding().parity_open(code.handle, codewords, columns));
  }

  /** Begins anew, at codeword `first`; nothing may be in flight. */
  reset(first: number): void {
    checked(binding().parity_reset(this.#handle, first));
  }

  /** Adds a stretch of the message, each once, in any order; the bytes must stay as they are until it is done. Zeroes may be left out. */
  async add(position: number, bytes: Uint8Array): Promise<void> {
    checkBytes('bytes', bytes);
    await run(this.#code.engine, {
      execute: () => binding().parity_add(this.#handle, position, bytes),
      dispatch: (engine, id) => binding().engine_submit_parity_add(engine, id, this.#handle, position, bytes),
    });
  }

  /** Copies the parity of the words from `column` of the window on, as it is on disk; nothing may be in flight. */
  read(column: number, into: Uint8Array): void {
    checked(binding().parity_read(this.#handle, column, into));
  }

  close(): void {
    binding().parity_close(this.#handle);
  }
}

/** Runs native work on an engine, which keeps what it is made of until it is done. @throws AlgError */
function run(engine: Engine, calls: Pick<Work, 'execute' | 'dispatch'>): Promise<number> {
  return new Promise((resolve, reject) => {
    const work: Work = { ...calls, result: 0, asynchronous: false, began: 0, ended: 0 };
    const done: Done = (result) => (result < 0 ? reject(failure(result)) : resolve(result));
    if (engine.submit(work, done) === 'done') done(work.result, false);
  });
}

function opened<T>(handle: T | number): T {
  if (typeof handle === 'number') throw failure(handle);
  return handle;
}

function checked(result: number): void {
  if (result < 0) throw failure(result);
}

const failure = (result: number) =>
  algError(
    'library',
    'Reed-Solomon',
    result,
    result === -ELIBBAD
      ? 'the self-check failed: this processor computes another code; use another machine'
      : undefined,
  );
