import type { BlockHasher } from '../block-hasher.js';
import type { FecLayout } from './fec-layout.js';
import type { MendedImage } from './mended-image.js';
import { Parity, type ReedSolomon } from './reed-solomon.js';

/** What is known of a block: 'unknown' where no digest is known, because a hash block above it is bad; 'foreign' where there never is one. */
type State = 'good' | 'bad' | 'unknown' | 'foreign';

export type Wanted = (block: number) => Promise<Buffer | undefined>;

/** What became of a set. Blocks are counted in the message, those of parity in the FEC area. */
export interface SetOutcome {
  good: number[];
  mended: number[];
  /** Which of the `roots` blocks of parity were wrong; nothing, where that cannot be told as some block may not be good. */
  parity: number[] | undefined;
}

/**
 * Mends the blocks of one set. Nothing is written but blocks that have the digest the tree wants, and parity of blocks that all have.
 * The decoder is asked without erasures first, then with the blocks that are known to be bad as erasures, which corrects twice as many.
 */
export class SetMender {
  readonly #mended: MendedImage;
  readonly #layout: FecLayout;
  readonly #code: ReedSolomon;
  readonly #hasher: BlockHasher;
  readonly #wanted: Wanted;
  /** First block of the message that belongs to no tree. */
  readonly #foreign: number;

  constructor(mended: MendedImage, code: ReedSolomon, wanted: Wanted) {
    const { layout, tree } = mended.image;
    this.#mended = mended;
    this.#layout = layout;
    this.#code = code;
    this.#hasher = tree.hasher;
    this.#wanted = wanted;
    this.#foreign = layout.dataBlocks + tree.layout.hashBlocks;
  }

  async mend(set: number): Promise<SetOutcome> {
    const { blockSize, setSize, setParity } = this.#layout;
    const rows = this.#layout.rowsOf(set);
    const message = Buffer.alloc(setSize * blockSize);
    const parity = Buffer.alloc(setParity);
    const row = (bytes: Buffer, index: number) => bytes.subarray(index * blockSize, (index + 1) * blockSize);
    const block = (index: number) => this.#layout.block(set, index);
    await Promise.all([
      this.#mended.readParity(set * setParity, parity),
      ...Array.from({ length: rows }, (_, index) => this.#mended.read(block(index) * blockSize, row(message, index))),
    ]);
    const states = Array.from(
      { length: rows },
      (_, index): State => (block(index) < this.#foreign ? 'unknown' : 'foreign'),
    );
    const having = (state: State) => [...states.keys()].filter((index) => states[index] === state);
    const mended: number[] = [];

    for (let progress = true; progress; ) {
      progress = false;
      const unknown = having('unknown');
      const judged = await this.#judge(message, unknown, block);
      for (const [at, index] of unknown.entries()) states[index] = judged[at]!;
      for (const erased of this.#guesses(having('bad'), having('unknown'))) {
        const [guess, guessedParity] = [Buffer.from(message), Buffer.from(parity)];
        const { changed } = await this.#code.decode(guess, guessedParity, rows, erased);
        const candidates = having('bad').filter((index) => changed[index]! > 0);
        const verdicts = await this.#judge(guess, candidates, block);
        for (const index of candidates.filter((_, at) => verdicts[at] === 'good')) {
          await this.#mended.write(block(index), row(guess, index));
          row(guess, index).copy(row(message, index));
          states[index] = 'good';
          mended.push(block(index));
          progress = true;
        }
        if (progress) break; // fewer errors are left, and more can be judged
      }
    }
    const good = having('good').map(block);
    const foreign = having('foreign').length;
    if (good.length + foreign < rows) return { good, mended, parity: undefined };
    const right = await this.#parityOf(message.subarray(0, rows * blockSize));
    // Blocks that no digest tells of are as they were where the parity, too, says so; otherwise either may be wrong.
    const isJudged = foreign === 0 || right.equals(parity);
    return { good, mended, parity: isJudged ? await this.writeParity(set, right, parity) : undefined };
  }

  /** What may be taken for erased, the likeliest first. */
  *#guesses(bad: number[], unknown: number[]): Generator<number[], void> {
    if (bad.length === 0) return;
    yield [];
    if (bad.length <= this.#layout.roots) yield bad;
    if (unknown.length > 0 && bad.length + unknown.length <= this.#layout.roots) yield [...bad, ...unknown];
  }

  /** Judges rows by the digests of their blocks. */
  async #judge(bytes: Buffer, indexes: number[], block: (index: number) => number): Promise<State[]> {
    const { blockSize } = this.#layout;
    const { digestSize } = this.#hasher;
    return Promise.all(
      indexes.map(async (index) => {
        const wanted = await this.#wanted(block(index));
        if (!wanted) return 'unknown';
        const digest = Buffer.alloc(digestSize);
        await this.#hasher.hash(bytes.subarray(index * blockSize, (index + 1) * blockSize), digest, blockSize);
        return digest.equals(wanted) ? 'good' : 'bad';
      }),
    );
  }

  async #parityOf(message: Buffer): Promise<Buffer> {
    const { blockSize, setParity } = this.#layout;
    const parity = new Parity(this.#code, blockSize, blockSize);
    const bytes = Buffer.alloc(setParity);
    try {
      await parity.add(0, message);
      parity.read(0, bytes);
      return bytes;
    } finally {
      parity.close();
    }
  }

  /** Writes the blocks of a set's parity that are not as stored. Returns which. */
  async writeParity(set: number, right: Buffer, stored: Buffer): Promise<number[]> {
    const { blockSize, roots, setParity } = this.#layout;
    const wrong: number[] = [];
    for (let index = 0; index < roots; index++) {
      const from = index * blockSize;
      const bytes = right.subarray(from, from + blockSize);
      if (bytes.equals(stored.subarray(from, from + blockSize))) continue;
      await this.#mended.writeParity(set * setParity + from, bytes);
      wrong.push(index);
    }
    return wrong;
  }
}
