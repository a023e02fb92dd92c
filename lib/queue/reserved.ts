import type { Mempool } from './mempool.js';

/**
 * Reserve first: the requests of one bio. It has one of its own, which serves again and again; while that is in flight further ones come from the
 * device's mempool, and go back to it. So a bio always gets on, and memory is asked for only where requests go asynchronous (document 1).
 */
export class Reserved<T> {
  readonly #own: T;
  readonly #pool: Mempool<T>;
  #free = true;

  constructor(own: T, pool: Mempool<T>) {
    this.#own = own;
    this.#pool = pool;
  }

  /** Waits where the mempool does. */
  async take(): Promise<T> {
    if (!this.#free) return this.#pool.take();
    this.#free = false;
    return this.#own;
  }

  give(request: T): void {
    if (request === this.#own) this.#free = true;
    else this.#pool.give(request);
  }
}
