import type { Tree } from '../parameters.js';
import type { FecLayout } from './fec-layout.js';
import { type ReedSolomon, wordSize } from './reed-solomon.js';

/** Words of a set, from one up to another. */
export interface WordRange {
  from: number;
  to: number;
}

/** What a set is read from. */
export interface SetSource {
  /** Fills the bytes from a block of the message. Resolves to false where not all of them can be read; the others are zeroes then. */
  readBlock(block: number, into: Buffer): Promise<boolean>;
  /** Fills the parity of a set. Resolves to the words whose parity could be read whole. */
  readParity(set: number, into: Buffer): Promise<WordRange[]>;
}

/** Room for a set. */
export interface SetBuffers {
  message: Buffer;
  parity: Buffer;
  digests: Buffer;
}

/** What is known of a row: 'unknown' where a hash block above its block is bad; 'foreign' where there never is a digest. */
export type RowState = 'good' | 'bad' | 'unknown' | 'foreign';

export interface SetDecoderOptions {
  tree: Tree;
  layout: FecLayout;
  code: ReedSolomon;
  source: SetSource;
  /** The digest that a block of the message must have, if that is known. It must not ask for blocks to be mended. */
  wanted(block: number): Promise<Uint8Array | undefined>;
  /** Of a block of zeroes, where such blocks are known without being read. */
  zeroDigest?: Buffer | undefined;
}

/** A set that is being decoded. */
interface OpenSet {
  set: number;
  /** Rows that exist, and those of them that belong to the image. */
  rows: number;
  own: number;
  buffers: SetBuffers;
  states: RowState[];
  /** Rows that could not be read whole. */
  unread: Set<number>;
  words: WordRange[];
  /** Rows that have been mended, which reading does not give. */
  mended: Map<number, Buffer>;
  /** Whether the decoder has changed the buffers, rightly or not. */
  guessed: boolean;
}

/** What has become of a set. Its buffers hold it as it is now, mended rows included, and the parity as it is stored. */
export interface DecodedSet {
  states: readonly RowState[];
  message: Buffer;
  parity: Buffer;
}

/** Hears of each block that has been mended, and in how many of its bytes. */
export type OnMended = (block: number, bytes: Buffer, changed: number) => Promise<void>;

/**
 * Mends blocks from the other blocks of their set and its parity. The decoder is asked with errors at unknown places first; then with the rows that
 * are known to be bad as erasures, which corrects twice as many; then also with those of which nothing is known. Only a row that has the digest wanted is taken from it.
 * Source: drivers/md/dm-verity-fec.c:verity_fec_decode, fec_read_bufs.
 */
export class SetDecoder {
  readonly #options: SetDecoderOptions;

  constructor(options: SetDecoderOptions) {
    this.#options = options;
  }

  /** Room for a set, and its bytes. */
  allocate(): SetBuffers {
    const [message, parity, digests] = this.#sizes.map((size) => Buffer.allocUnsafeSlow(size));
    return { message: message!, parity: parity!, digests: digests! };
  }
  get bufferBytes(): number {
    return this.#sizes.reduce((sum, size) => sum + size);
  }
  get #sizes(): number[] {
    const { layout, tree } = this.#options;
    return [layout.setSize * layout.blockSize, layout.setParity, layout.setSize * tree.layout.digestSize];
  }

  /** Fills the bytes from a block of the message with what has the digest wanted. Resolves to false where that is not possible. */
  async mendBlock(block: number, wanted: Uint8Array, into: Uint8Array, buffers: SetBuffers): Promise<boolean> {
    const { layout } = this.#options;
    const open = await this.#open(layout.setOf(block), buffers);
    const row = layout.rowOf(block);
    open.states[row] = 'bad';
    for await (const erased of this.#guesses(open)) {
      await this.#decode(open, erased);
      if (await this.#has(open, row, wanted)) {
        into.set(this.#row(open, row));
        return true;
      }
    }
    return false;
  }

  /** Mends what can be of a set. */
  async mendSet(set: number, buffers: SetBuffers, onMended: OnMended): Promise<DecodedSet> {
    const open = await this.#open(set, buffers);
    const tell = (row: number, changed: number) => onMended(this.#block(open, row), open.mended.get(row)!, changed);
    do for (const row of await this.#judge(open)) await tell(row, 0);
    while (await this.#mendSome(open, tell));
    await this.#refresh(open);
    return { states: open.states, message: buffers.message, parity: buffers.parity };
  }

  /** Mends the rows that the first guess which mends any does: fewer errors are left then, and more can be judged. */
  async #mendSome(open: OpenSet, tell: (row: number, changed: number) => Promise<void>): Promise<boolean> {
    const bad = having(open, 'bad');
    if (bad.length === 0) return false;
    for await (const erased of this.#guesses(open)) {
      const changed = await this.#decode(open, erased);
      const mended: number[] = [];
      for (const row of bad) {
        const wanted = changed[row] ? await this.#options.wanted(this.#block(open, row)) : undefined;
        if (!wanted || !(await this.#has(open, row, wanted))) continue;
        this.#keep(open, row);
        mended.push(row);
      }
      for (const row of mended) {
        open.states[row] = 'good';
        await tell(row, changed[row]!);
      }
      if (mended.length > 0) return true;
    }
    return false;
  }

  /** Rows that may be taken for erased, the likeliest first. */
  async *#guesses(open: OpenSet): AsyncGenerator<number[], void> {
    const { roots } = this.#options.layout;
    yield [];
    await this.#judge(open);
    const bad = new Set(having(open, 'bad'));
    const lost = new Set([...bad, ...[...open.unread].filter((row) => open.states[row] !== 'good')]);
    const doubted = new Set([...lost, ...having(open, 'unknown')]);
    let tried = 0;
    for (const guess of [bad, lost, doubted]) {
      if (guess.size > tried && guess.size <= roots) yield [...guess];
      tried = guess.size;
    }
  }

  async #open(set: number, buffers: SetBuffers): Promise<OpenSet> {
    const { layout, tree } = this.#options;
    const rows = layout.rowsOf(set);
    const image = layout.dataBlocks + tree.layout.hashBlocks;
    const states = Array.from({ length: rows }, (_, row): RowState => {
      return layout.block(set, row) < image ? 'unknown' : 'foreign';
    });
    const own = states.filter((state) => state === 'unknown').length;
    const open = {
      set,
      rows,
      own,
      buffers,
      states,
      unread: new Set<number>(),
      words: [],
      mended: new Map(),
      guessed: true,
    };
    await this.#refresh(open);
    return open;
  }

  /** Reads the set where the buffers hold a guess; what has been mended is not read. */
  async #refresh(open: OpenSet): Promise<void> {
    const { source } = this.#options;
    if (!open.guessed) return;
    open.guessed = false;
    open.unread.clear();
    const load = async (row: number) => {
      const known = open.mended.get(row);
      if (known) known.copy(this.#row(open, row));
      else if (!(await source.readBlock(this.#block(open, row), this.#row(open, row)))) open.unread.add(row);
    };
    const loads = Array.from({ length: open.rows }, (_, row) => load(row));
    [open.words] = await Promise.all([source.readParity(open.set, open.buffers.parity), ...loads]);
  }

  /** Judges the rows of which nothing is known yet by the digests of their blocks. Returns those that are right, but are not so where they were read. */
  async #judge(open: OpenSet): Promise<number[]> {
    const { layout, tree, wanted, zeroDigest } = this.#options;
    const unknown = having(open, 'unknown');
    if (unknown.length === 0) return [];
    await this.#refresh(open);
    const { digestSize } = tree.layout;
    const digests = open.buffers.digests.subarray(0, open.own * digestSize);
    await tree.hasher.hash(open.buffers.message.subarray(0, open.own * layout.blockSize), digests, layout.blockSize);
    const completed: number[] = [];
    for (const row of unknown) {
      const digest = await wanted(this.#block(open, row));
      if (!digest) continue;
      const isRight = digests.subarray(row * digestSize, (row + 1) * digestSize).equals(digest);
      // Whatever was read of zeroes: what belongs there is known.
      if (!isRight && zeroDigest?.equals(digest)) this.#row(open, row).fill(0);
      open.states[row] = isRight || zeroDigest?.equals(digest) ? 'good' : 'bad';
      if (open.states[row] === 'bad' || (isRight && !open.unread.has(row))) continue;
      this.#keep(open, row);
      completed.push(row);
    }
    return completed;
  }

  /** Corrects the words whose parity is there, in place. Returns of each symbol in how many words it was wrong. */
  async #decode(open: OpenSet, erased: readonly number[]): Promise<Uint32Array> {
    const { code, layout } = this.#options;
    await this.#refresh(open);
    open.guessed = true;
    const { rows, words } = open;
    const { message, parity } = open.buffers;
    const { blockSize, setSize, roots } = layout;
    const changed = new Uint32Array(wordSize);
    for (const { from, to } of words) {
      const columns = to - from;
      const isWhole = columns === blockSize;
      const part = isWhole ? message : Buffer.allocUnsafe(setSize * columns);
      const copy = (into: Buffer, source: Buffer, at: number, start: number) =>
        source.copy(into, at, start, start + columns);
      for (let row = 0; !isWhole && row < rows; row++) copy(part, message, row * columns, row * blockSize + from);
      const decoded = await code.decode(part, parity.subarray(from * roots, to * roots), rows, erased);
      for (let row = 0; !isWhole && row < rows; row++) copy(message, part, row * blockSize + from, row * columns);
      for (const [symbol, count] of decoded.changed.entries()) changed[symbol]! += count;
    }
    return changed;
  }

  async #has(open: OpenSet, row: number, wanted: Uint8Array): Promise<boolean> {
    const { tree, layout } = this.#options;
    const digest = Buffer.alloc(tree.layout.digestSize);
    await tree.hasher.hash(this.#row(open, row), digest, layout.blockSize);
    return digest.equals(wanted);
  }

  #keep(open: OpenSet, row: number): void {
    open.mended.set(row, Buffer.from(this.#row(open, row)));
  }

  #block({ set }: OpenSet, row: number): number {
    return this.#options.layout.block(set, row);
  }

  #row({ buffers }: OpenSet, row: number): Buffer {
    const { blockSize } = this.#options.layout;
    return buffers.message.subarray(row * blockSize, (row + 1) * blockSize);
  }
}

function having({ states }: OpenSet, state: RowState): number[] {
  return [...states.keys()].filter((row) => states[row] === state);
}
