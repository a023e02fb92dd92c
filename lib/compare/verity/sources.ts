import type { MemoryUsage, Mempool } from '../../base/mempool.js';
import type { BioRequests, RequestSource, RequestSourceOptions } from '../../dm/memory/request-source.js';

/** A request for one block, reserved with its bio, for which each next block waits: dm-verity in 2018. */
export class OneRequestSource<T> implements RequestSource<T> {
  readonly units = 1;
  readonly #pool: Mempool<T>;

  constructor({ allocate, unitBytes, reserve, makeMempool }: RequestSourceOptions<T>) {
    this.#pool = makeMempool<T>('requests of bios', { reserve, allocate: () => allocate(1), bytes: unitBytes });
  }

  async open(): Promise<BioRequests<T>> {
    return new OneRequest(await this.#pool.take(), this.#pool);
  }

  memoryUsage(): MemoryUsage {
    return this.#pool.memoryUsage();
  }
}

class OneRequest<T> implements BioRequests<T> {
  readonly held = 1;
  readonly #own: T;
  readonly #pool: Mempool<T>;
  #free = true;
  /** A bio waits in one place only. */
  #next: ((request: T) => void) | undefined;

  constructor(own: T, pool: Mempool<T>) {
    this.#own = own;
    this.#pool = pool;
  }

  async take(): Promise<T> {
    if (!this.#free)
      return new Promise((resolve) => {
        this.#next = resolve;
      });
    this.#free = false;
    return this.#own;
  }

  give(request: T): void {
    const next = this.#next;
    this.#next = undefined;
    if (next) next(request);
    else this.#free = true;
  }

  close(): void {
    this.#pool.give(this.#own);
  }
}

/**
 * A request for each block of a bio, all allocated when it comes and freed when it has ended, whatever became of them: Chemla 2018's patch. The
 * bio fails where there is no memory for one of them.
 */
export class AllocatedSource<T> implements RequestSource<T> {
  readonly units = 1;
  readonly #allocate: (units: number) => T;
  readonly #unitBytes: number;
  #inUse = 0;

  constructor({ allocate, unitBytes }: RequestSourceOptions<T>) {
    this.#allocate = allocate;
    this.#unitBytes = unitBytes;
  }

  async open(blocks: number): Promise<BioRequests<T>> {
    const requests = Array.from({ length: blocks }, () => this.#allocate(1));
    const bytes = blocks * this.#unitBytes;
    this.#inUse += bytes;
    let next = 0;
    return {
      held: blocks,
      take: async () => requests[next++]!,
      give: () => {},
      close: () => {
        this.#inUse -= bytes;
      },
    };
  }

  memoryUsage(): MemoryUsage {
    return { reserved: 0, inUse: this.#inUse };
  }
}
