import { AsyncLocalStorage } from 'node:async_hooks';
import { type MakeMempool, Mempool, type MempoolOptions } from '../../base/mempool.js';
import { named } from '../../dm/open-table.js';
import type { BlockDevice } from '../../dm/target.js';

/** A bio on a device of a stack, and the bio above that waits for it. */
export interface Errand {
  /** 'bio 3 of device 2'. */
  name: string;
  above: Errand | undefined;
}

const errands = new AsyncLocalStorage<Errand>();

/** The device, with an errand for each bio: whatever the device does for it is known to be its. */
export function withErrands(device: BlockDevice, name: string): BlockDevice {
  let count = 0;
  return {
    ...named(device, name),
    submit: (bio) => {
      const errand = { name: `bio ${++count} of ${name}`, above: errands.getStore() };
      errands.run(errand, () => device.submit(bio));
    },
  };
}

/** Who waits for an element of which mempool, and who holds all of those. */
export interface Wait {
  errand: Errand;
  pool: string;
  holders: Errand[];
}

/**
 * Mempools in a machine without memory: of each there is the reserve and nothing else. It is known who holds elements and who waits for
 * one, so that a deadlock is proved instead of guessed from silence.
 */
export class MempoolTrace {
  readonly #pools: TracedMempool<unknown>[] = [];
  readonly #onChange: () => void;

  /** `onChange` is told whenever there may be a deadlock that was not there before. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Makes a pool for each device and kind, or with `shared` one for each kind. */
  maker(shared: boolean): MakeMempool {
    const made = new Map<string, Mempool<unknown>>();
    return <T>(kind: string, options: MempoolOptions<T>) => {
      const found = shared ? made.get(kind) : undefined;
      const pool = found ?? new TracedMempool<unknown>(kind, options, this.#onChange);
      if (!found) this.#pools.push(pool as TracedMempool<unknown>);
      made.set(kind, pool);
      return pool as Mempool<T>;
    };
  }

  /**
   * The waits that can never end, if there are any: each for an element of a mempool whose elements are all held by bios that wait for one of
   * these bios, or are one. Nothing else gives an element back, as a bio ends after all the bios below it.
   */
  deadlock(): Wait[] {
    let waits = this.#pools.flatMap((pool) => pool.waits());
    for (;;) {
      const stuck = new Set<Errand>();
      for (const { errand } of waits)
        for (let each: Errand | undefined = errand; each; each = each.above) stuck.add(each);
      const left = waits.filter(({ holders }) => holders.every((holder) => stuck.has(holder)));
      if (left.length === waits.length) return left;
      waits = left;
    }
  }

  /** There is memory again: whoever waits gets on. */
  relieve(): void {
    for (const pool of this.#pools) pool.relieve();
  }

  /** What all pools hold, and what was taken from them. */
  get bytes(): number {
    return this.#pools
      .map((pool) => pool.memoryUsage())
      .reduce((sum, { reserved, inUse }) => sum + reserved + inUse, 0);
  }
}

class TracedMempool<T> extends Mempool<T> {
  readonly #kind: string;
  readonly #allocate: () => T;
  readonly #onChange: () => void;
  readonly #holders = new Map<T, Errand>();
  readonly #waiting = new Set<Errand>();
  readonly #memory: { left: number };

  constructor(kind: string, options: MempoolOptions<T>, onChange: () => void) {
    const memory = { left: options.reserve };
    const allocate = () => {
      if (memory.left-- <= 0) throw new Error('no memory');
      return options.allocate();
    };
    super({ ...options, allocate });
    this.#kind = kind;
    this.#allocate = options.allocate;
    this.#memory = memory;
    this.#onChange = onChange;
  }

  override async take(): Promise<T> {
    const errand = errands.getStore();
    if (!errand) throw new Error('an element is taken for no bio');
    const before = this.waiting;
    const taking = super.take();
    if (this.waiting > before) {
      this.#waiting.add(errand);
      this.#onChange();
    }
    const item = await taking;
    this.#waiting.delete(errand);
    this.#holders.set(item, errand);
    if (this.#waiting.size > 0) this.#onChange();
    return item;
  }

  override give(item: T): void {
    this.#holders.delete(item);
    super.give(item);
  }

  /** Nothing, while an element is on its way to somebody. */
  waits(): Wait[] {
    if (this.#holders.size < this.reserve) return [];
    const holders = [...this.#holders.values()];
    return [...this.#waiting].map((errand) => ({ errand, pool: this.#kind, holders }));
  }

  relieve(): void {
    this.#memory.left = Number.POSITIVE_INFINITY;
    for (let count = this.waiting; count > 0; count--) super.give(this.#allocate());
  }
}
