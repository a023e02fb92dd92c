import type { Tree } from './parameters.js';

/** Bytes of verified hash blocks that are kept. */
const kept = 8 << 20;

/** The digests that blocks must have, from hash blocks each of which has been verified, by those above it, up to the root hash. */
export class TrustedHashes {
  readonly #tree: Tree;
  readonly #rootHash: Buffer;
  readonly #read: (hashBlock: number, into: Buffer) => Promise<void>;
  /** Verified hash blocks, the last used one last. */
  readonly #blocks = new Map<number, Buffer>();

  /** `read` fills a buffer from the hash block that is so far from the start of the tree. */
  constructor(tree: Tree, rootHash: Uint8Array, read: (hashBlock: number, into: Buffer) => Promise<void>) {
    this.#tree = tree;
    this.#rootHash = Buffer.from(rootHash);
    this.#read = read;
  }

  /** The digest of a block of a level, or of the data, which is level -1: none, where a hash block above it is not what it should be. */
  async digest(level: number, index: number): Promise<Buffer | undefined> {
    const { levels, hashesPerBlock, stride, digestSize } = this.#tree.layout;
    if (level === levels.length - 1) return this.#rootHash;
    const block = await this.block(level + 1, Math.floor(index / hashesPerBlock));
    const at = (index % hashesPerBlock) * stride;
    return block?.subarray(at, at + digestSize);
  }

  /** A hash block, if it is what it should be. */
  async block(level: number, index: number): Promise<Buffer | undefined> {
    const { layout, hashBlockSize, hasher } = this.#tree;
    const place = layout.levels[level]!.first + index;
    const known = this.#blocks.get(place);
    if (known) {
      this.#keep(place, known);
      return known;
    }
    const wanted = await this.digest(level, index);
    if (!wanted) return undefined;
    const block = Buffer.allocUnsafeSlow(hashBlockSize);
    await this.#read(place, block);
    const digest = Buffer.alloc(layout.digestSize);
    await hasher.hash(block, digest, hashBlockSize);
    if (!digest.equals(wanted)) return undefined;
    this.#keep(place, block);
    return block;
  }

  #keep(place: number, block: Buffer): void {
    this.#blocks.delete(place);
    this.#blocks.set(place, block);
    if (this.#blocks.size * block.length <= kept) return;
    for (const [oldest] of this.#blocks) {
      this.#blocks.delete(oldest);
      break;
    }
  }
}
