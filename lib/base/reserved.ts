import type { Mempool } from './mempool.js';

/**
 * Reserve first: the requests of one bio. It has one of its own, which serves again and again; while that is in flight further ones come from the
 * device's mempool, and go back to it. So a bio always gets on, and memory is asked for only where requests go asynchronous (Chemla 2018).
 */
export class Reserved<T> {
  /** Its own one. */
  readonly own: T;
  readonly #pool: Mempool<T>;
  #free = true;
  #further = 0;

  constructor(own: T, pool: Mempool<T>) {
    this.own = own;
    this.#pool = pool;
  }

  /** How many it holds, its own among them. */
  get held(): number {
    return 1 + this.#further;
  }

  /** Waits where the mempool does. */
  async take(): Promise<T> {
    if (this.#free) {
      this.#free = false;
      return this.own;
    }
    const request = await this.#pool.take();
    this.#further++;
    return request;
  }

  give(request: T): void {
    if (request === this.own) {
      this.#free = true;
      return;
    }
    this.#further--;
    this.#pool.give(request);
  }
}
