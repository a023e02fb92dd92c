import { checkAborted } from '../../base/abort.js';
import { Bitmap } from '../bitmap.js';
import type { OnProgress } from '../block-runs.js';
import { TrustedHashes } from '../trusted-hashes.js';
import type { BadBlock } from '../verdict.js';
import { TreeWalk, type WalkJudge, type WalkSource } from '../walk.js';
import type { FecImage } from './fec-image.js';
import { MendedImage, type Writable } from './mended-image.js';
import { ParityMender } from './parity-mender.js';
import type { ReedSolomon } from './reed-solomon.js';
import { type SetBuffers, SetDecoder } from './set-decoder.js';

/** Hears of each block that was wrong, of the message or of the FEC area, once each time that something is said of it. */
export interface MenderEvents {
  /** It was found to be wrong. */
  onBad(level: number, index: number, reason: BadBlock['reason'], offset?: number): void;
  onMended(block: number): void;
  onLeft(block: number): void;
  onParity(set: number, index: number): void;
  onProgress?: OnProgress | undefined;
}

/** What is left, and what has been done. */
export interface MenderSummary {
  /** Whether the block at the top has the root hash, or has it now. If not, nothing below it has been looked at. */
  rootHash: boolean;
  /** Blocks below hash blocks that are left: there is no digest to judge them by. */
  unjudged: { data: number; hash: number };
  /** Sets whose parity could not be judged, because blocks of theirs could not. */
  unjudgedParity: number;
  /** Bytes that have been changed, or would be. */
  changed: number;
  /** The first set with a block that is left. */
  firstBeyond: number | undefined;
}

/**
 * Mends an image from the root hash down: a level of the tree is judged by the one above it and mended before the next is judged by it, the data
 * comes last. What is left is tried again as long as anything new was mended. All is read once, and the parity of the sets that were good is compared
 * with what was computed on the way. Memory: bits for each block, a few sets, the encoder's window.
 */
export class ImageMender implements WalkJudge {
  readonly #mended: MendedImage;
  readonly #rootHash: Uint8Array;
  readonly #trusted: TrustedHashes;
  readonly #parity: ParityMender;
  readonly #decoder: SetDecoder;
  readonly #buffers: SetBuffers;
  readonly #events: MenderEvents;
  readonly #signal: AbortSignal | undefined;
  /** Blocks of the message that are bad, or cannot be judged yet. */
  readonly #suspects: Bitmap;
  /** Blocks that have been told of as bad, and as mended. */
  readonly #told: Bitmap;
  readonly #known: Bitmap;
  #changed = 0;
  #firstBeyond: number | undefined;

  constructor(
    image: FecImage,
    writable: Writable,
    rootHash: Uint8Array,
    code: ReedSolomon,
    events: MenderEvents,
    signal: AbortSignal | undefined,
  ) {
    const { layout, tree } = image;
    const { dataBlocks, blockSize } = layout;
    const mended = new MendedImage(image, writable);
    const read = (place: number, into: Buffer) => mended.readMessage((dataBlocks + place) * blockSize, into);
    const trusted = new TrustedHashes({ tree, rootHash, read });
    this.#mended = mended;
    this.#parity = new ParityMender(
      mended,
      code,
      (set, index, changed) => {
        this.#changed += changed;
        events.onParity(set, index);
      },
      signal,
    );
    this.#decoder = new SetDecoder({ tree, layout, code, source: mended, wanted: (block) => trusted.wanted(block) });
    this.#buffers = this.#decoder.allocate();
    this.#rootHash = rootHash;
    this.#trusted = trusted;
    this.#events = events;
    this.#signal = signal;
    this.#suspects = new Bitmap(layout.blocks);
    this.#told = new Bitmap(layout.blocks);
    this.#known = new Bitmap(layout.blocks);
  }

  /** @throws AbortError between two steps; what has been written until then is right */
  async run(): Promise<MenderSummary> {
    const { tree } = this.#mended.image;
    const options = { onProgress: this.#events.onProgress, signal: this.#signal };
    try {
      const rootHash = await new TreeWalk(tree, this.#rootHash, this.#source(), this, options).run();
      const unjudged = await this.#tellLeft(rootHash);
      const unjudgedParity = rootHash ? await this.#parity.finish((set) => this.#mendSet(set)) : 0;
      return { rootHash, unjudged, unjudgedParity, changed: this.#changed, firstBeyond: this.#firstBeyond };
    } finally {
      this.#parity.close();
    }
  }

  /** What a walk reads also becomes parity, which is compared in the end. */
  #source(): WalkSource {
    const { image } = this.#mended;
    const position = (level: number, first: number) => image.blockOf(level, first) * image.layout.blockSize;
    return {
      read: (level, first, into) => this.#mended.readMessage(position(level, first), into),
      isHole: (level, first, length) => level < 0 && image.files.dataFile.isHole(position(level, first), length),
      take: (level, first, bytes) => this.#parity.add(position(level, first), bytes),
    };
  }

  isTrusted(level: number, index: number): boolean {
    return !this.#suspects.has(this.#mended.image.blockOf(level, index));
  }

  bad(level: number, index: number, reason: BadBlock['reason'], offset?: number): void {
    const block = this.#mended.image.blockOf(level, index);
    // What is in a spare area is what the digest covers: no FEC brings anything else.
    if (reason === 'spare') this.#events.onLeft(block);
    else this.#suspects.add(block);
    this.#tellBad(block, reason === 'digest' && this.#mended.unread.has(block) ? 'unreadable' : reason, offset);
  }

  unjudged(level: number, first: number, count: number): void {
    for (let index = first; index < first + count; index++)
      this.#suspects.add(this.#mended.image.blockOf(level, index));
  }

  /** Mends what can be, over and over: a hash block that is good again lets others be judged. */
  async levelDone(level: number): Promise<void> {
    const { layout } = this.#mended.image;
    this.#suspectUnread(level);
    for (let progress = true; progress && this.#suspects.size > 0; ) {
      progress = false;
      const done = new Bitmap(layout.rounds);
      for (const block of this.#suspects) {
        const set = layout.setOf(block);
        if (done.has(set)) continue;
        done.add(set);
        for (const each of await this.#mendSet(set)) {
          if (!this.#suspects.has(each)) continue;
          this.#suspects.delete(each);
          progress = true;
        }
      }
    }
  }

  /** What cannot be read is wrong, even where its zeroes are right: its file has to have them. */
  #suspectUnread(level: number): void {
    const { unread, image } = this.#mended;
    if (unread.size === 0) return;
    for (const block of unread) {
      if (block >= image.layout.dataBlocks + image.tree.layout.hashBlocks) break;
      const at = image.levelOf(block);
      if (at.level === level && !this.#suspects.has(block)) this.bad(level, at.index, 'unreadable');
    }
  }

  #tellBad(block: number, reason: BadBlock['reason'], offset?: number): void {
    if (this.#told.has(block)) return;
    this.#told.add(block);
    const { level, index } = this.#mended.image.levelOf(block);
    this.#events.onBad(level, index, reason, offset);
  }

  /** Tells of the blocks that are left. Returns the number of those that no digest judges. */
  async #tellLeft(rootHash: boolean): Promise<MenderSummary['unjudged']> {
    const { layout, tree } = this.#mended.image;
    const { dataBlocks } = layout;
    const unjudged = { data: 0, hash: 0 };
    for (const block of this.#suspects) {
      if (await this.#trusted.wanted(block)) {
        this.#tellBad(block, 'digest');
        this.#events.onLeft(block);
        this.#firstBeyond = Math.min(this.#firstBeyond ?? Infinity, layout.setOf(block));
      } else unjudged[block < dataBlocks ? 'data' : 'hash']++;
    }
    if (rootHash || tree.layout.hashBlocks === 0) return unjudged;
    return { data: dataBlocks, hash: tree.layout.hashBlocks - 1 };
  }

  /** Mends what can be of a set, its parity included. Returns its good blocks. */
  async #mendSet(set: number): Promise<number[]> {
    checkAborted(this.#signal);
    const { layout } = this.#mended.image;
    const { states, message, parity } = await this.#decoder.mendSet(
      set,
      this.#buffers,
      async (block, bytes, changed) => {
        await this.#mended.write(block, bytes);
        if (this.#known.has(block)) return; // a dry run mends it each time
        this.#known.add(block);
        this.#changed += changed;
        this.#tellBad(block, 'digest');
        this.#events.onMended(block);
      },
    );
    await this.#parity.settle(set, states, message, parity);
    return [...states.keys()].filter((row) => states[row] === 'good').map((row) => layout.block(set, row));
  }
}
