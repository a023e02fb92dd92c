import type { MakeMempool } from '../../base/mempool.js';
import { sectorSize } from '../../dm/bio.js';
import type { Device } from '../../dm/device.js';
import { type OpenTableOptions, openTable } from '../../dm/open-table.js';
import { RamDevice } from '../../dm/ram-device.js';
import type { BlockDevice } from '../../dm/target.js';
import { fill } from '../material/fill.js';
import type { TestImage } from '../material/test-image.js';
import type { StackCase } from './mempool.js';
import { withErrands } from './trace.js';

interface Kind {
  /** What bios do that wait for memory. */
  op: 'read' | 'write';
  /** Reserves that are tried. */
  reserves: readonly number[];
  /** The table of a level, counted from 1, whose device lies on `below`. */
  table(image: TestImage, level: number): string;
  options: OpenTableOptions;
}

/** What stacks are made of. */
const kinds = {
  /** On the image's file. A read holds its request while it waits for the blocks below. */
  verity: {
    op: 'read',
    reserves: [16, 1],
    table: (image, level) => image.line(level === 1 ? image.data : 'below'),
    options: { readOnly: true },
  },
  /**
   * On RAM. A write holds the pages that it was encrypted into while it waits for the one below; of those there are one bio's, whatever
   * reserved_bio_based_ios is. Past the queues (the submitter encrypts) it goes below in its own context, which is how it is known whose it is.
   */
  crypt: {
    op: 'write',
    reserves: [1],
    table: ({ bytes }, level) =>
      `0 ${bytes.length / sectorSize} crypt aes-xts-plain64 ${keyOf(level)} 0 below 0 1 no_write_workqueue`,
    options: {
      engine: 'sync',
      memory: {
        allocate: () => {
          throw new Error('no memory');
        },
      },
    },
  },
} as const satisfies Record<string, Kind>;

export type StackTarget = keyof typeof kinds;

/** In the order in which they are tried, and reported. */
export const stackTargets = Object.keys(kinds) as StackTarget[];

export const kindOf = (target: StackTarget): Kind => kinds[target];

/** Each level has its own, of AES-128. */
const keyOf = (level: number) => Buffer.from(fill(Buffer.alloc(32), level)).toString('hex');

/** Devices of a kind on each other. */
export class Stack {
  /** What crypt devices lie on. */
  readonly ram: BlockDevice;
  #top: BlockDevice;
  readonly #opened: Device[] = [];

  private constructor(bytes: number) {
    this.ram = new RamDevice(bytes);
    this.#top = this.ram;
  }

  /** As many as the case says, with these mempools. @throws TableError */
  static async open({ target, depth, reserve }: StackCase, image: TestImage, makeMempool: MakeMempool): Promise<Stack> {
    const stack = new Stack(image.bytes.length);
    const { table, options } = kindOf(target);
    try {
      for (let level = 1; level <= depth; level++)
        await stack.#add(table(image, level), `device ${level}`, {
          ...options,
          reserve,
          memory: { ...options.memory, makeMempool },
        });
      return stack;
    } catch (error) {
      await stack.close();
      throw error;
    }
  }

  async #add(table: string, name: string, options: OpenTableOptions): Promise<void> {
    const device = await openTable(table, { ...options, devices: { below: this.#top } });
    this.#opened.unshift(device);
    this.#top = withErrands(device, name);
  }

  /** Every bio on it has an errand, and so has what becomes of it on the devices below. */
  get top(): BlockDevice {
    return this.#top;
  }

  /** From the top down. */
  async close(): Promise<void> {
    for (const device of this.#opened) await device.close();
  }
}
