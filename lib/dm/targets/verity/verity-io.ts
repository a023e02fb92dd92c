import type { Mempool } from '../../../base/mempool.js';
import type { Engine } from '../../../crypto/engine/engine.js';
import type { Bitmap } from '../../../verity/bitmap.js';
import { VerityError } from '../../../verity/error.js';
import type { Tree } from '../../../verity/parameters.js';
import { wrongDigests } from '../../../verity/tree-layout.js';
import type { TrustedHashes } from '../../../verity/trusted-hashes.js';
import { type Bio, type BioError, type FailedRange, sectorSize } from '../../bio.js';
import { readBelow } from '../../device-read.js';
import type { BioRequests } from '../../memory/request-source.js';
import type { BlockDevice } from '../../target.js';
import type { Corruption } from './corruption.js';
import type { FecDecoder } from './fec-decoder.js';

/** Room for what becomes of some blocks: their digests, with the bytes between them, and their status. */
export interface HashRequest {
  digests: Buffer;
  status: Int32Array;
}

/** What the bios of a device have in common. */
export interface VerityParts {
  tree: Tree;
  data: BlockDevice;
  hashes: TrustedHashes;
  corruption: Corruption;
  fec: FecDecoder | undefined;
  /** Blocks that have been good once, where that is enough (check_at_most_once). */
  validated: Bitmap | undefined;
  /** Of a block of zeroes, where those are not read (ignore_zero_blocks). */
  zeroDigest: Buffer | undefined;
  /** Blocks that a request has room for. */
  requestBlocks: number;
  /** What a block is read into that is looked at a second time. */
  pages: Mempool<Buffer>;
}

/** Blocks that lie together. */
interface Run {
  first: number;
  count: number;
}

interface BadBlock {
  block: number;
  wanted: Buffer;
}

/** A bio that is read and verified (struct dm_verity_io). Source: drivers/md/dm-verity-target.c:verity_verify_io. */
export class VerityIo {
  readonly #parts: VerityParts;
  readonly #bio: Bio;
  readonly #requests: BioRequests<HashRequest>;
  readonly #engine: Engine;
  /** All blocks of the bio. */
  readonly #whole: Run;
  readonly #failed: FailedRange[] = [];
  #code = '';
  #cause: unknown;
  readonly #bad: BadBlock[] = [];

  constructor(parts: VerityParts, bio: Bio, requests: BioRequests<HashRequest>, engine: Engine) {
    const { dataBlockSize } = parts.tree;
    this.#parts = parts;
    this.#bio = bio;
    this.#requests = requests;
    this.#engine = engine;
    this.#whole = { first: (bio.sector * sectorSize) / dataBlockSize, count: bio.bytes.length / dataBlockSize };
  }

  /** Resolves to why the bio failed, and where. What failed is zeroes. */
  async run(): Promise<BioError | null> {
    if (!this.#parts.zeroDigest) await this.#read(this.#whole);
    else for await (const run of this.#runsToRead(this.#parts.zeroDigest)) await this.#read(run);
    return this.#failed.length ? { code: this.#code, failed: this.#failed, cause: this.#cause } : null;
  }

  /** Fills the blocks that have the digest of zeroes; what lies between them has to be read. */
  async *#runsToRead(zeroDigest: Buffer): AsyncGenerator<Run, void> {
    const { hashes } = this.#parts;
    const end = this.#whole.first + this.#whole.count;
    let { first } = this.#whole;
    for (let block = first; block < end; block++) {
      // What has no digest is read, and fails then.
      const wanted = this.#isValidated(block) ? undefined : await hashes.digest(-1, block).catch(() => undefined);
      if (!wanted?.equals(zeroDigest)) continue;
      if (first < block) yield { first, count: block - first };
      this.#bytes({ first: block, count: 1 }).fill(0);
      first = block + 1;
    }
    if (first < end) yield { first, count: end - first };
  }

  /** Reads and verifies a run. */
  async #read(run: Run): Promise<void> {
    const { tree, data, hashes } = this.#parts;
    const { hashesPerBlock: group } = tree.layout;
    const isUnread = (block: number) => error !== null && this.#overlaps(error, run, block);
    let error: BioError | null = null;
    const ends: Promise<void>[] = [];
    let piece = this.#nextPiece(run, run.first, isUnread);
    const lookUp = async ({ first }: Run) => hashes.digests(-1, first - (first % group), group);
    // The first digests are looked up while the data is read.
    let ahead = piece && lookUp(piece);
    ahead?.catch(() => {});
    error = await readBelow(data, run.first * tree.dataBlockSize, this.#bytes(run));
    if (error) {
      const parent = piece && Math.floor(piece.first / group);
      piece = this.#nextPiece(run, run.first, isUnread);
      if (piece && Math.floor(piece.first / group) !== parent) ahead = undefined;
    }
    for (; piece; piece = this.#nextPiece(run, piece.first + piece.count, isUnread)) {
      await this.#hash(piece, ahead ?? lookUp(piece), ends);
      ahead = undefined;
    }
    await Promise.all(ends);
    for (let block = run.first; error && block < run.first + run.count; block++)
      if (isUnread(block)) await this.#mendUnread(block, error);
    for (const bad of this.#bad.splice(0).sort((a, b) => a.block - b.block)) await this.#mend(bad);
  }

  /** Blocks from one on that are to be hashed together: as many as a request takes, and as have their digests in one hash block. */
  #nextPiece(run: Run, from: number, isUnread: (block: number) => boolean): Run | undefined {
    const { tree, requestBlocks } = this.#parts;
    const { hashesPerBlock: group } = tree.layout;
    const end = run.first + run.count;
    const skipped = (block: number) => isUnread(block) || this.#isValidated(block);
    let first = from;
    while (first < end && skipped(first)) first++;
    if (first >= end) return undefined;
    const most = Math.min(end - first, group - (first % group), requestBlocks);
    let count = 1;
    while (count < most && !skipped(first + count)) count++;
    return { first, count };
  }

  /** Submits a piece to be hashed, and judges it then: `ends` gets the end of what goes on, which never rejects. */
  async #hash(piece: Run, lookup: Promise<Buffer | undefined>, ends: Promise<void>[]): Promise<void> {
    const { tree } = this.#parts;
    const { stride, hashesPerBlock } = tree.layout;
    let above: Buffer | undefined;
    try {
      above = await lookup;
    } catch (cause) {
      return this.#fail(piece, codeOf(cause), cause);
    }
    if (!above) return this.#fail(piece, 'EIO', untrusted(`a hash block above data block ${piece.first} is corrupted`));
    const at = (piece.first % hashesPerBlock) * stride;
    const held = above.subarray(at, at + piece.count * stride);
    const request = await this.#requests.take();
    const digests = request.digests.subarray(0, piece.count * stride);
    const batch = tree.hasher.batch({
      src: this.#bytes(piece),
      dst: digests,
      unitSize: tree.dataBlockSize,
      dstStride: stride,
      status: request.status.subarray(0, piece.count),
    });
    let settle = () => {};
    const done = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const answer = batch.submitTo(this.#engine, settle);
    const judge = () => {
      if (batch.failure) this.#fail(piece, 'EIO', batch.failure);
      else this.#judge(piece, digests, held);
      this.#requests.give(request);
    };
    if (answer === 'done') return judge();
    ends.push(done.then(judge));
    if (answer === 'busy') await this.#engine.room();
  }

  #judge(piece: Run, digests: Buffer, held: Buffer): void {
    const { tree, validated } = this.#parts;
    const { stride, digestSize } = tree.layout;
    const wrong = held.equals(digests) ? [] : wrongDigests(tree.layout, held, digests);
    for (const index of wrong) {
      const wanted = Buffer.from(held.subarray(index * stride, index * stride + digestSize));
      this.#bad.push({ block: piece.first + index, wanted });
    }
    if (!validated) return;
    const bad = new Set(wrong);
    for (let index = 0; index < piece.count; index++) if (!bad.has(index)) validated.add(piece.first + index);
  }

  /** A block that has another digest: it is read once more, since its bytes may have been changed meanwhile; then FEC, then the error. */
  async #mend({ block, wanted }: BadBlock): Promise<void> {
    const { corruption, validated } = this.#parts;
    const place = { first: block, count: 1 };
    if (await this.#readAgain(block, wanted)) {
      validated?.add(block);
      corruption.reread(block);
    } else if (!(await this.#correct(block, wanted, 'corrupted')) && !corruption.corrupted('data', block))
      this.#fail(place, 'EIO', untrusted(`data block ${block} is corrupted`));
  }

  /** verity_recheck */
  async #readAgain(block: number, wanted: Buffer): Promise<boolean> {
    const { tree, data, pages } = this.#parts;
    const { dataBlockSize: size, layout, hasher } = tree;
    const page = await pages.take();
    try {
      if (await readBelow(data, block * size, page)) return false;
      const digest = Buffer.alloc(layout.digestSize);
      await hasher.hash(page, digest, size);
      if (!digest.equals(wanted)) return false;
      this.#bytes({ first: block, count: 1 }).set(page);
      return true;
    } finally {
      pages.give(page);
    }
  }

  async #mendUnread(block: number, error: BioError): Promise<void> {
    const { hashes, corruption, fec } = this.#parts;
    const wanted = fec ? await hashes.digest(-1, block).catch(() => undefined) : undefined;
    if (wanted && (await this.#correct(block, wanted, 'unreadable'))) return;
    corruption.unreadable('data', block);
    this.#fail({ first: block, count: 1 }, error.code, error.cause);
  }

  async #correct(block: number, wanted: Buffer, kind: 'corrupted' | 'unreadable'): Promise<boolean> {
    const { fec, corruption } = this.#parts;
    if (!(await fec?.correct(block, wanted, this.#bytes({ first: block, count: 1 })))) return false;
    corruption.corrected('data', block, kind);
    return true;
  }

  #isValidated(block: number): boolean {
    return this.#parts.validated?.has(block) ?? false;
  }

  #overlaps({ failed }: BioError, run: Run, block: number): boolean {
    const perBlock = this.#parts.tree.dataBlockSize / sectorSize;
    const at = (block - run.first) * perBlock;
    return failed.some(({ first, count }) => first < at + perBlock && at < first + count);
  }

  #bytes({ first, count }: Run): Uint8Array {
    const { dataBlockSize: size } = this.#parts.tree;
    const at = (first - this.#whole.first) * size;
    return this.#bio.bytes.subarray(at, at + count * size);
  }

  /** What is not to be trusted never reaches the reader. */
  #fail(run: Run, code: string, cause: unknown): void {
    const perBlock = this.#parts.tree.dataBlockSize / sectorSize;
    this.#bytes(run).fill(0);
    this.#failed.push({ first: (run.first - this.#whole.first) * perBlock, count: run.count * perBlock });
    this.#code ||= code;
    this.#cause ??= cause;
  }
}

function untrusted(message: string): VerityError {
  return new VerityError(message, 'EPERM');
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? 'EIO';
}
