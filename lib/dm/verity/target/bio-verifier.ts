import { type Engine, SyncEngine } from '../../../alg/engine.js';
import type { MakeMempool, MemoryUsage, Mempool } from '../../../queue/mempool.js';
import { Reserved } from '../../../queue/reserved.js';
import type { Bio } from '../../bio.js';
import { type HashRequest, VerityIo, type VerityParts } from './verity-io.js';

export interface BioVerifierOptions extends Omit<VerityParts, 'requestBlocks' | 'pages'> {
  /** Whether short reads are verified on the submitter's thread (try_verify_in_tasklet). */
  inline: boolean;
  /** Elements of each mempool. */
  reserve: number;
  makeMempool: MakeMempool;
}

/** With usual blocks those that have their digests in one hash block. */
const requestBlocks = 128;
/** What is verified at once where that was asked for: the kernel's use_bh_bytes. */
const inlineBytes = 8192;

/**
 * Verifies the bios of a device, and has the memory for it. Their blocks are hashed in parallel, in requests of up to 128: each bio has one request, reserved
 * with it; only where that went asynchronous and there is more to do, another one comes from the device's mempool. Document 1 is where the parallel hashing
 * is from, and what its memory is to be kept from.
 */
export class BioVerifier {
  readonly #parts: VerityParts;
  readonly #inline: Engine | undefined;
  /** One for each bio in flight, and the further ones. */
  readonly #own: Mempool<HashRequest>;
  readonly #more: Mempool<HashRequest>;

  constructor({ inline, reserve, makeMempool, ...parts }: BioVerifierOptions) {
    const { layout, dataBlockSize } = parts.tree;
    const blocks = Math.min(requestBlocks, layout.hashesPerBlock);
    const allocate = () => ({ digests: Buffer.alloc(blocks * layout.stride), status: new Int32Array(blocks) });
    const bytes = blocks * (layout.stride + Int32Array.BYTES_PER_ELEMENT);
    this.#own = makeMempool<HashRequest>('requests of bios', { reserve, allocate, bytes });
    this.#more = makeMempool<HashRequest>('further requests', { reserve, allocate, bytes });
    const pages = makeMempool<Buffer>('blocks read again', {
      reserve: 1,
      allocate: () => Buffer.allocUnsafeSlow(dataBlockSize),
      bytes: dataBlockSize,
    });
    this.#parts = { ...parts, requestBlocks: blocks, pages };
    if (inline) this.#inline = new SyncEngine();
  }

  /** Reads whole blocks, and ends the bio. */
  async read(bio: Bio): Promise<void> {
    const request = await this.#own.take();
    const { engine } = this.#parts.tree.hasher;
    const short = bio.bytes.length <= inlineBytes;
    const requests = new Reserved(request, this.#more);
    const io = new VerityIo(this.#parts, bio, requests, short && this.#inline ? this.#inline : engine);
    const failure = await io
      .run()
      .catch((cause: unknown) => ({ code: 'EIO', failed: [{ first: 0, count: bio.sectors }], cause }));
    this.#own.give(request);
    bio.end(failure);
  }

  memoryUsage(): MemoryUsage {
    const { hashes, fec, validated, pages } = this.#parts;
    const kept = { reserved: 0, inUse: hashes.size + (validated?.bytes ?? 0) };
    const parts = [this.#own, this.#more, pages, ...(fec ? [fec] : [])].map((part) => part.memoryUsage());
    return [kept, ...parts].reduce((sum, { reserved, inUse }) => ({
      reserved: sum.reserved + reserved,
      inUse: sum.inUse + inUse,
    }));
  }
}
