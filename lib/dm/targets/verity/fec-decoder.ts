import { type MemoryUsage, Mempool } from '../../../base/mempool.js';
import type { FecLayout } from '../../../verity/fec/fec-layout.js';
import { ReedSolomon } from '../../../verity/fec/reed-solomon.js';
import type { Tree } from '../../../verity/parameters.js';
import type { TrustedHashes } from '../../../verity/trusted-hashes.js';
import { sectorSize } from '../../bio.js';
import { readBelow } from '../../device-read.js';
import type { MempoolHoldings } from '../../holdings.js';
import type { BlockDevice } from '../../target.js';

export interface FecDecoderOptions {
  tree: Tree;
  layout: FecLayout;
  devices: { data: BlockDevice; hash: BlockDevice; fec: BlockDevice };
  /** Bytes from the start of the FEC device to the parity. */
  offset: number;
  /** Its lookups must not come back here. */
  hashes: TrustedHashes;
  /** Of a block of zeroes, where those are known without being read. */
  zeroDigest: Buffer | undefined;
}

/** All of a set. */
interface SetBuffers {
  message: Buffer;
  parity: Buffer;
  digests: Buffer;
}

/**
 * Corrects single blocks from the FEC area: with errors at unknown places first, then with the blocks as erasures that are known to be bad, which
 * corrects twice as many. Source: drivers/md/dm-verity-fec.c:verity_fec_decode, fec_read_bufs.
 */
export class FecDecoder {
  readonly #options: FecDecoderOptions;
  readonly #code: ReedSolomon;
  readonly #buffers: Mempool<SetBuffers>;

  constructor(options: FecDecoderOptions) {
    const { tree, layout } = options;
    const { setSize, setParity, blockSize } = layout;
    this.#options = options;
    this.#code = new ReedSolomon(layout.roots, tree.hasher.engine);
    const sizes = [setSize * blockSize, setParity, setSize * tree.layout.digestSize] as const;
    const [message, parity, digests] = sizes.map((size) => () => Buffer.allocUnsafeSlow(size));
    this.#buffers = new Mempool<SetBuffers>({
      reserve: 1,
      allocate: () => ({ message: message!(), parity: parity!(), digests: digests!() }),
      bytes: sizes.reduce((sum, size) => sum + size),
    });
  }

  /** A block of the message (data, then the tree) as its digest wants it, into `into`. Returns whether that is possible. */
  async correct(block: number, wanted: Uint8Array, into: Uint8Array): Promise<boolean> {
    const buffers = await this.#buffers.take();
    try {
      for (const erasing of [false, true])
        if (await this.#decode(buffers, block, wanted, erasing)) {
          into.set(this.#row(buffers, block));
          return true;
        }
      return false;
    } finally {
      this.#buffers.give(buffers);
    }
  }

  memoryUsage(): MemoryUsage {
    return this.#buffers.memoryUsage();
  }

  holdings(): MempoolHoldings {
    return { ...this.memoryUsage(), waiting: this.#buffers.waiting };
  }

  #row({ message }: SetBuffers, block: number): Buffer {
    const { blockSize } = this.#options.layout;
    const at = this.#options.layout.rowOf(block) * blockSize;
    return message.subarray(at, at + blockSize);
  }

  async #decode(buffers: SetBuffers, block: number, wanted: Uint8Array, erasing: boolean): Promise<boolean> {
    const { layout, tree, devices, offset } = this.#options;
    const { message, parity, digests } = buffers;
    const set = layout.setOf(block);
    const [unread, noParity] = await Promise.all([
      this.#readSet(buffers, set),
      readBelow(devices.fec, offset + set * layout.setParity, parity),
    ]);
    if (noParity) return false;
    const erased = erasing ? await this.#erased(buffers, set, unread) : [];
    if (erased.length > layout.roots) return false;
    const { failed } = await this.#code.decode(message, parity, layout.rowsOf(set), erased);
    if (failed > 0) return false;
    const digest = digests.subarray(0, tree.layout.digestSize);
    await tree.hasher.hash(this.#row(buffers, block), digest, layout.blockSize);
    return digest.equals(wanted);
  }

  /** Reads all blocks of a set. Returns the rows that could not be read, which are zeroes then. */
  async #readSet(buffers: SetBuffers, set: number): Promise<number[]> {
    const { layout, tree, devices } = this.#options;
    const rows = layout.rowsOf(set);
    buffers.message.fill(0, rows * layout.blockSize);
    const reads = Array.from({ length: rows }, async (_, row) => {
      const block = layout.block(set, row);
      const isData = block < layout.dataBlocks;
      const inDevice = isData ? block : block - layout.dataBlocks + tree.start;
      const bytes = this.#row(buffers, block);
      const device = isData ? devices.data : devices.hash;
      const beyond = (inDevice + 1) * (layout.blockSize / sectorSize) > device.sectors;
      if (!beyond && !(await readBelow(device, inDevice * layout.blockSize, bytes))) return [];
      bytes.fill(0);
      return [row];
    });
    return (await Promise.all(reads)).flat();
  }

  /** The rows that are known to be wrong: those that could not be read, and data that has another digest. */
  async #erased(buffers: SetBuffers, set: number, unread: number[]): Promise<number[]> {
    const { layout, tree, hashes, zeroDigest } = this.#options;
    const { blockSize } = layout;
    const { digestSize } = tree.layout;
    const rows = Array.from({ length: layout.rowsOf(set) }, (_, row) => row);
    const dataRows = rows.filter((row) => layout.block(set, row) < layout.dataBlocks).length;
    const digests = buffers.digests.subarray(0, dataRows * digestSize);
    await tree.hasher.hash(buffers.message.subarray(0, dataRows * blockSize), digests, blockSize);
    const wrong = new Set(unread);
    for (let row = 0; row < dataRows; row++) {
      const wanted = await hashes.digest(-1, layout.block(set, row)).catch(() => undefined);
      if (!wanted || wanted.equals(digests.subarray(row * digestSize, (row + 1) * digestSize))) continue;
      if (zeroDigest?.equals(wanted)) {
        // Whatever was read: what belongs there is known.
        buffers.message.fill(0, row * blockSize, (row + 1) * blockSize);
        wrong.delete(row);
      } else wrong.add(row);
    }
    return [...wrong];
  }
}
