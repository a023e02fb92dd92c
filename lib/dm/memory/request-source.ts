import type { MakeMempool, MemoryUsage, Mempool } from '../../base/mempool.js';
import { Reserved } from '../../base/reserved.js';

/** The requests of one bio. */
export interface BioRequests<T> {
  /** How many it holds, in flight or not. */
  readonly held: number;
  /** One that is not in flight. */
  take(): Promise<T>;
  give(request: T): void;
  /** The bio has ended: it holds none any more. */
  close(): void;
}

/** Where the bios of a device have their requests from. */
export interface RequestSource<T> {
  /** Units that a request has room for. */
  readonly units: number;
  /** For a bio of so many units. Where a source may fail, it rejects for want of memory; ReservedRequests never does. */
  open(units: number): Promise<BioRequests<T>>;
  memoryUsage(): MemoryUsage;
}

export interface RequestSourceOptions<T> {
  /** Of the longest request that is of use. */
  mostUnits: number;
  /** Makes a request for so many units. It may throw for want of memory, once the reserve has been made. */
  allocate: (units: number) => T;
  /** Bytes that a request has for each unit. */
  unitBytes: number;
  /** Elements of each mempool. */
  reserve: number;
  makeMempool: MakeMempool;
}

/** Makes the source of a device's requests: others than the device's own are what `dmalg compare verity` is about. */
export type MakeRequestSource = <T>(options: RequestSourceOptions<T>) => RequestSource<T>;

export const makeRequestSource: MakeRequestSource = (options) => new ReservedRequests(options);

/** One request for each bio in flight, reserved with it; further ones from a mempool, while that one is in flight. */
export class ReservedRequests<T> implements RequestSource<T> {
  readonly units: number;
  readonly #own: Mempool<T>;
  readonly #more: Mempool<T>;

  constructor({ mostUnits, allocate, unitBytes, reserve, makeMempool }: RequestSourceOptions<T>) {
    this.units = mostUnits;
    const elements = { reserve, allocate: () => allocate(mostUnits), bytes: mostUnits * unitBytes };
    this.#own = makeMempool<T>('requests of bios', elements);
    this.#more = makeMempool<T>('further requests', elements);
  }

  async open(): Promise<BioRequests<T>> {
    return new ReservedWithBio(await this.#own.take(), this.#own, this.#more);
  }

  memoryUsage(): MemoryUsage {
    const [own, more] = [this.#own.memoryUsage(), this.#more.memoryUsage()];
    return { reserved: own.reserved + more.reserved, inUse: own.inUse + more.inUse };
  }
}

class ReservedWithBio<T> extends Reserved<T> implements BioRequests<T> {
  readonly #home: Mempool<T>;

  constructor(own: T, home: Mempool<T>, more: Mempool<T>) {
    super(own, more);
    this.#home = home;
  }

  close(): void {
    this.#home.give(this.own);
  }
}
