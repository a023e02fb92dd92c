import { checkInteger } from './bytes.js';

export interface MempoolOptions<T> {
  /** Elements that always exist: what forward progress rests on. */
  reserve: number;
  /** Makes one. It may throw for want of memory, once the reserve has been made. */
  allocate: () => T;
  /** Of an element, for memoryUsage(). */
  bytes: number;
}

/** Makes the mempools of a target. Pools of the same `kind` have equal elements; sharing them is what `dmalg compare mempool` is about. */
export type MakeMempool = <T>(kind: string, options: MempoolOptions<T>) => Mempool<T>;

export const makeMempool: MakeMempool = (_, options) => new Mempool(options);

/**
 * Equal elements for requests that must not fail: there is one from the reserve, or a new one, or one waits for an element to be given back.
 * It never fails. It belongs to one device: whoever waits here must never be waited for by those who hold its elements (Patocka 2025).
 * Unlike mm/mempool.c the reserve goes first: using elements again is cheaper here than the allocator and its garbage collector.
 */
export class Mempool<T> {
  readonly reserve: number;
  readonly #allocate: () => T;
  readonly #bytes: number;
  readonly #free: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];
  #taken = 0;

  /** @throws RangeError; what `allocate` throws when not even the reserve is to be had */
  constructor({ reserve, allocate, bytes }: MempoolOptions<T>) {
    checkInteger('reserve', reserve, 0, 65536);
    this.reserve = reserve;
    this.#allocate = allocate;
    this.#bytes = bytes;
    while (this.#free.length < reserve) this.#free.push(allocate());
  }

  /** Who waits for an element. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Bytes of what lies ready, and of what has been taken. */
  memoryUsage(): MemoryUsage {
    return { reserved: this.#free.length * this.#bytes, inUse: this.#taken * this.#bytes };
  }

  /** An element, in the order of asking. */
  async take(): Promise<T> {
    this.#taken++;
    const item = this.#free.pop() ?? this.#tryAllocate();
    return item ?? new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Gives one back: to who waits, to the reserve where it is short, else to the garbage collector. */
  give(item: T): void {
    this.#taken--;
    const next = this.#waiting.shift();
    if (next) next(item);
    else if (this.#free.length < this.reserve) this.#free.push(item);
  }

  #tryAllocate(): T | undefined {
    try {
      return this.#allocate();
    } catch {
      return undefined;
    }
  }
}

/** Bytes that a device or a part of it holds for itself. */
export interface MemoryUsage {
  reserved: number;
  inUse: number;
}
