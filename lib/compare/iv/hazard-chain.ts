import type { ChainDone } from '../../chain/deliveries.js';
import type { Answer } from '../../crypto/engine/engine.js';
import { algError } from '../../crypto/error.js';
import type { Direction } from '../../crypto/request/iv.js';
import { type RawRequest, SharedOp } from '../../crypto/request/shared-op.js';
import type { Tfm } from '../../crypto/request/tfm.js';

/** Requests taken beyond the two that the socket has, as an IvChain's. */
const backlog = 8;

interface Item {
  request: RawRequest;
  done: ChainDone;
}

/**
 * What goes wrong when the next request is put into an op socket whose last one is still in flight: the data and the IV of
 * one request come while another runs. Looks like an IvChain to its trial.
 */
export class HazardChain {
  readonly #tfm: Tfm;
  readonly #direction: Direction;
  readonly #op: SharedOp;
  #running: Item | undefined;
  #staged: Item | undefined;
  readonly #waiting: Item[] = [];
  #wake: (() => void)[] = [];

  /** @throws TypeError where the engine is not AIO; AlgError */
  constructor(tfm: Tfm, direction: Direction) {
    this.#tfm = tfm;
    this.#direction = direction;
    this.#op = new SharedOp(tfm);
  }

  submit(src: Uint8Array, dst: Uint8Array, done: ChainDone, iv?: Uint8Array): Answer {
    this.#waiting.push({ request: { direction: this.#direction, iv: iv ?? null, src, dst }, done });
    this.#pump();
    return this.#waiting.length >= backlog ? 'busy' : 'in progress';
  }

  async room(): Promise<void> {
    while (this.#waiting.length >= backlog) await this.#event();
  }

  async idle(): Promise<void> {
    while (this.#running || this.#staged || this.#waiting.length > 0) await this.#event();
  }

  close(): void {
    this.#op.close();
  }

  #event(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #pump(): void {
    if (!this.#running) {
      const isStaged = this.#staged !== undefined;
      const item = this.#staged ?? this.#waiting.shift();
      this.#staged = undefined;
      if (!item) return;
      this.#running = item;
      this.#op.submit(item.request, isStaged, (result, asynchronous) => {
        this.#running = undefined;
        if (result < 0) this.#op.reset();
        this.#end(item, result, asynchronous);
      });
    }
    const next = this.#staged ? undefined : this.#waiting.shift();
    if (!next) return;
    const refused = this.#op.stage(next.request);
    if (refused < 0) queueMicrotask(() => this.#end(next, refused, false));
    else this.#staged = next;
  }

  #end({ request, done }: Item, result: number, asynchronous: boolean): void {
    this.#pump();
    const error = result < 0 ? algError('recvmsg', this.#tfm.name, result) : null;
    done(error, error ? 0 : request.dst.length, asynchronous);
    for (const resolve of this.#wake.splice(0)) resolve();
  }
}
