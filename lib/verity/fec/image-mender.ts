import { checkAborted } from '../../base/abort.js';
import { Bitmap } from '../bitmap.js';
import { eachRun } from '../block-runs.js';
import { VerityError } from '../error.js';
import type { OnProgress } from '../on-progress.js';
import { TrustedHashes } from '../trusted-hashes.js';
import type { MendedImage } from './mended-image.js';
import { ParityEncoder } from './parity-encoder.js';
import type { ReedSolomon } from './reed-solomon.js';
import { SetMender, type SetOutcome } from './set-mender.js';

/** Hears of each block that was wrong: of the message, or of the FEC area, once. */
export interface MenderEvents {
  onMended(block: number): void;
  onLeft(block: number): void;
  onParity(set: number, index: number): void;
  onProgress?: OnProgress | undefined;
}

/** Sets whose parity could not be judged, because blocks of theirs could not. */
export interface MenderSummary {
  unjudgedParity: number;
}

/** Bytes of what lies behind the tree that are read at a time. */
const pieceSize = 1 << 20;

/**
 * Mends an image from the root hash down: a level of the tree is judged by the one above it and mended before the next is judged by it, the data
 * comes last. What is left is tried again as long as anything new was mended. All is read once, and the parity of the sets that were good is compared
 * with what was computed on the way. Memory: bits for each block, a few sets, the encoder's window.
 */
export class ImageMender {
  readonly #mended: MendedImage;
  readonly #trusted: TrustedHashes;
  readonly #encoder: ParityEncoder;
  readonly #mender: SetMender;
  readonly #events: MenderEvents;
  readonly #signal: AbortSignal | undefined;
  /** Blocks of the message that are bad, or cannot be judged yet. */
  readonly #suspects: Bitmap;
  readonly #known: Bitmap;
  /** Sets that have been looked at by themselves, and those of them whose parity has been, too. */
  readonly #touched: Bitmap;
  readonly #settled: Bitmap;

  constructor(
    mended: MendedImage,
    rootHash: Uint8Array,
    code: ReedSolomon,
    events: MenderEvents,
    signal: AbortSignal | undefined,
  ) {
    const { layout, tree } = mended.image;
    const { dataBlocks, blockSize } = layout;
    this.#mended = mended;
    const read = (place: number, into: Buffer) => mended.read((dataBlocks + place) * blockSize, into);
    this.#trusted = new TrustedHashes({ tree, rootHash, read });
    this.#encoder = new ParityEncoder(layout, code);
    this.#mender = new SetMender(mended, code, (block) => this.#wanted(block));
    this.#events = events;
    this.#signal = signal;
    this.#suspects = new Bitmap(layout.blocks);
    this.#known = new Bitmap(layout.blocks);
    this.#touched = new Bitmap(layout.rounds);
    this.#settled = new Bitmap(layout.rounds);
  }

  /** @throws AbortError between two steps; what has been written until then is right */
  async run(): Promise<MenderSummary> {
    try {
      for (let level = this.#mended.image.tree.layout.levels.length - 1; level >= -1; level--) {
        await this.#judgeLevel(level);
        await this.#mendSuspects();
        this.#checkTop();
      }
      await this.#addForeign();
      for (const block of this.#suspects) this.#events.onLeft(block);
      return { unjudgedParity: await this.#mendParity() };
    } finally {
      this.#encoder.close();
    }
  }

  /** Nothing can be judged below a block at the top that is none. @throws VerityError in veritysetup's words */
  #checkTop(): void {
    const { layout, dataBlocks } = this.#mended.image.tree;
    const top = layout.levels.length > 0 ? dataBlocks : 0;
    if (this.#suspects.has(top))
      throw new VerityError(
        'Verification of root hash failed.',
        'EPERM',
        'the block at the top has another digest, and FEC cannot mend it; is the root hash right?',
      );
  }

  /** Looks at each block of a level, or of the data: level -1. */
  async #judgeLevel(level: number): Promise<void> {
    const { layout, hasher, hashBlockSize } = this.#mended.image.tree;
    const { dataBlocks, blockSize } = this.#mended.image.layout;
    const { stride, hashesPerBlock: group, digestSize } = layout;
    const start = level < 0 ? 0 : dataBlocks + layout.levels[level]!.first;
    const blocks = level < 0 ? dataBlocks : layout.levels[level]!.blocks;
    await eachRun(
      { blocks, blockSize, stride, group, contiguous: stride * group === hashBlockSize },
      async ({ first, bytes, digests }) => {
        checkAborted(this.#signal);
        const position = (start + first) * blockSize;
        await this.#mended.read(position, bytes);
        await Promise.all([hasher.hash(bytes, digests, blockSize, stride), this.#encoder.add(position, bytes)]);
      },
      async ({ first, count, digests }) => {
        for (let index = 0; index < count; index++) {
          const wanted = await this.#trusted.digest(level, first + index);
          const at = index * stride;
          if (!wanted || wanted.compare(digests, at, at + digestSize)) this.#suspects.add(start + first + index);
        }
        if (level < 0) this.#events.onProgress?.((first + count) * blockSize, blocks * blockSize);
      },
    );
  }

  /** Mends what can be, over and over: a hash block that is good again lets others be judged. */
  async #mendSuspects(): Promise<void> {
    const { layout } = this.#mended.image;
    for (let progress = true; progress && this.#suspects.size > 0; ) {
      progress = false;
      const done = new Bitmap(layout.rounds);
      for (const block of this.#suspects) {
        const set = layout.setOf(block);
        if (done.has(set)) continue;
        done.add(set);
        const { good } = await this.#mendSet(set);
        for (const each of good) {
          if (!this.#suspects.has(each)) continue;
          this.#suspects.delete(each);
          progress = true;
        }
      }
    }
  }

  async #mendSet(set: number): Promise<SetOutcome> {
    checkAborted(this.#signal);
    const outcome = await this.#mender.mend(set);
    this.#touched.add(set);
    for (const block of outcome.mended) {
      if (this.#known.has(block)) continue; // a dry run mends it each time
      this.#known.add(block);
      this.#events.onMended(block);
    }
    if (outcome.parity && !this.#settled.has(set)) {
      this.#settled.add(set);
      for (const index of outcome.parity) this.#events.onParity(set, index);
    }
    return outcome;
  }

  /** What lies behind the tree is covered by FEC, and that is all. */
  async #addForeign(): Promise<void> {
    const { layout, tree } = this.#mended.image;
    const buffer = Buffer.allocUnsafeSlow(pieceSize);
    const start = (layout.dataBlocks + tree.layout.hashBlocks) * layout.blockSize;
    for (let at = start; at < layout.messageSize; at += pieceSize) {
      checkAborted(this.#signal);
      const piece = buffer.subarray(0, layout.messageSize - at);
      await this.#mended.read(at, piece);
      await this.#encoder.add(at, piece);
    }
  }

  /** Mends the parity where all blocks of a set are good. Returns the number of the other sets whose parity does not fit. */
  async #mendParity(): Promise<number> {
    const { layout, tree } = this.#mended.image;
    const { setParity } = layout;
    const foreign = layout.dataBlocks + tree.layout.hashBlocks;
    const isForeign = (set: number) => layout.block(set, layout.rowsOf(set) - 1) >= foreign;
    let unjudged = 0;
    let stored = Buffer.alloc(0);
    await this.#encoder.finish({
      read: (position, into) => this.#mended.read(position, into as Buffer),
      take: async (position, bytes) => {
        checkAborted(this.#signal);
        if (stored.length < bytes.length) stored = Buffer.allocUnsafeSlow(bytes.length);
        const held = stored.subarray(0, bytes.length);
        await this.#mended.readParity(position, held);
        if (held.equals(bytes)) return;
        for (let at = 0; at < bytes.length; at += setParity) {
          const set = (position + at) / setParity;
          const [right, there] = [bytes, held].map((each) => each.subarray(at, at + setParity) as Buffer);
          if (this.#touched.has(set) || right!.equals(there!)) continue;
          if (isForeign(set)) unjudged++;
          else
            for (const index of await this.#mender.writeParity(set, right!, there!)) this.#events.onParity(set, index);
        }
      },
    });
    for (const set of this.#touched) {
      if (this.#settled.has(set)) continue;
      await this.#mendSet(set);
      if (!this.#settled.has(set)) unjudged++;
    }
    return unjudged;
  }

  /** The digest that a block of the message has to have. */
  async #wanted(block: number): Promise<Buffer | undefined> {
    const { dataBlocks } = this.#mended.image.layout;
    if (block < dataBlocks) return this.#trusted.digest(-1, block);
    const { levels } = this.#mended.image.tree.layout;
    const level = levels.findIndex(({ first }) => first <= block - dataBlocks);
    return this.#trusted.digest(level, block - dataBlocks - levels[level]!.first);
  }
}
