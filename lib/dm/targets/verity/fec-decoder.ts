import { type MemoryUsage, Mempool } from '../../../base/mempool.js';
import type { FecLayout } from '../../../verity/fec/fec-layout.js';
import { ReedSolomon } from '../../../verity/fec/reed-solomon.js';
import { type SetBuffers, SetDecoder } from '../../../verity/fec/set-decoder.js';
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

/** Corrects single blocks of a device from its FEC area, and has the memory for it. */
export class FecDecoder {
  readonly #options: FecDecoderOptions;
  readonly #decoder: SetDecoder;
  readonly #buffers: Mempool<SetBuffers>;

  constructor(options: FecDecoderOptions) {
    const { tree, layout, hashes, zeroDigest } = options;
    this.#options = options;
    this.#decoder = new SetDecoder({
      tree,
      layout,
      code: new ReedSolomon(layout.roots, tree.hasher.engine),
      source: {
        readBlock: (block, into) => this.#readBlock(block, into),
        readParity: (set, into) => this.#readParity(set, into),
      },
      wanted: (block) => hashes.wanted(block).catch(() => undefined),
      zeroDigest,
    });
    this.#buffers = new Mempool<SetBuffers>({
      reserve: 1,
      allocate: () => this.#decoder.allocate(),
      bytes: this.#decoder.bufferBytes,
    });
  }

  /** A block of the message (data, then the tree) as its digest wants it, into `into`. Returns whether that is possible. */
  async correct(block: number, wanted: Uint8Array, into: Uint8Array): Promise<boolean> {
    const buffers = await this.#buffers.take();
    try {
      return await this.#decoder.mendBlock(block, wanted, into, buffers);
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

  async #readBlock(block: number, into: Buffer): Promise<boolean> {
    const { layout, tree, devices } = this.#options;
    const { blockSize, dataBlocks } = layout;
    const [device, inDevice] =
      block < dataBlocks ? [devices.data, block] : [devices.hash, block - dataBlocks + tree.start];
    const isBeyond = (inDevice + 1) * (blockSize / sectorSize) > device.sectors;
    if (!isBeyond && !(await readBelow(device, inDevice * blockSize, into))) return true;
    into.fill(0);
    return false;
  }

  async #readParity(set: number, into: Buffer) {
    const { layout, devices, offset } = this.#options;
    const error = await readBelow(devices.fec, offset + set * layout.setParity, into);
    return error ? [] : [{ from: 0, to: layout.blockSize }];
  }
}
