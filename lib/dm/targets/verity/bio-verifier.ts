import type { MakeMempool, MemoryUsage } from '../../../base/mempool.js';
import { type Engine, holdingsOf, SyncEngine } from '../../../crypto/engine/engine.js';
import type { Bio, BioError } from '../../bio.js';
import type { TargetHoldings } from '../../holdings.js';
import type { MakeRequestSource, RequestSource } from '../../memory/request-source.js';
import { type HashRequest, VerityIo, type VerityParts } from './verity-io.js';

export interface BioVerifierOptions extends Omit<VerityParts, 'requestBlocks' | 'pages'> {
  /** Whether short reads are verified on the submitter's thread (try_verify_in_tasklet). */
  inline: boolean;
  /** Elements of each mempool. */
  reserve: number;
  makeMempool: MakeMempool;
  makeRequestSource: MakeRequestSource;
}

/** With usual blocks those that have their digests in one hash block. */
const requestBlocks = 128;
/** What is verified at once where that was asked for: the kernel's use_bh_bytes. */
const inlineBytes = 8192;

/**
 * Verifies the bios of a device, and has the memory for it. Their blocks are hashed in parallel, in requests of up to 128: each bio has one request, reserved
 * with it; only where that went asynchronous and there is more to do, another one comes from the device's mempool. Chemla 2018 is where the parallel hashing
 * is from, and what its memory is to be kept from.
 */
export class BioVerifier {
  readonly #parts: VerityParts;
  readonly #inline: Engine | undefined;
  readonly #requests: RequestSource<HashRequest>;

  constructor({ inline, reserve, makeMempool, makeRequestSource, ...parts }: BioVerifierOptions) {
    const { layout, dataBlockSize } = parts.tree;
    this.#requests = makeRequestSource<HashRequest>({
      mostUnits: Math.min(requestBlocks, layout.hashesPerBlock),
      allocate: (blocks) => ({ digests: Buffer.alloc(blocks * layout.stride), status: new Int32Array(blocks) }),
      unitBytes: layout.stride + Int32Array.BYTES_PER_ELEMENT,
      reserve,
      makeMempool,
    });
    const pages = makeMempool<Buffer>('blocks read again', {
      reserve: 1,
      allocate: () => Buffer.allocUnsafeSlow(dataBlockSize),
      bytes: dataBlockSize,
    });
    this.#parts = { ...parts, requestBlocks: this.#requests.units, pages };
    if (inline) this.#inline = new SyncEngine();
  }

  /** Reads whole blocks, and ends the bio. */
  async read(bio: Bio): Promise<void> {
    const failure = await this.#verify(bio).catch((cause: unknown) => ({
      code: 'EIO',
      failed: [{ first: 0, count: bio.sectors }],
      cause,
    }));
    bio.end(failure);
  }

  async #verify(bio: Bio): Promise<BioError | null> {
    const { hasher, dataBlockSize } = this.#parts.tree;
    const short = bio.bytes.length <= inlineBytes;
    const engine = short && this.#inline ? this.#inline : hasher.engine;
    const requests = await this.#requests.open(bio.bytes.length / dataBlockSize);
    try {
      return await new VerityIo(this.#parts, bio, requests, engine).run();
    } finally {
      requests.close();
    }
  }

  holdings(): Partial<TargetHoldings> {
    const { tree, hashes, fec, validated } = this.#parts;
    return {
      engine: { ...holdingsOf(tree.hasher.engine), shared: true },
      hashBlocks: hashes.blocks,
      ...(validated && { validatedBytes: validated.bytes }),
      ...(fec && { mempools: { 'sets of FEC': fec.holdings() } }),
    };
  }

  memoryUsage(): MemoryUsage {
    const { hashes, fec, validated, pages } = this.#parts;
    const kept = { reserved: 0, inUse: hashes.size + (validated?.bytes ?? 0) };
    const parts = [this.#requests, pages, ...(fec ? [fec] : [])].map((part) => part.memoryUsage());
    return [kept, ...parts].reduce((sum, { reserved, inUse }) => ({
      reserved: sum.reserved + reserved,
      inUse: sum.inUse + inUse,
    }));
  }
}
