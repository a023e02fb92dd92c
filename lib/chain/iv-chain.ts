import { checkBytes, checkInteger, checkWord, rangeError, valueError, wrongSize } from '../base/bytes.js';
import type { Answer, Done } from '../crypto/engine/engine.js';
import { AlgError } from '../crypto/error.js';
import type { Direction, IvRule } from '../crypto/request/iv.js';
import type { Request } from '../crypto/request/request.js';
import type { Tfm } from '../crypto/request/tfm.js';
import { ChainError } from './chain-error.js';
import { type ChainDone, Deliveries, type Item } from './deliveries.js';
import { type ChainMode, chainModes, type ModeRow, modeRows } from './modes.js';

export type { ChainMode } from './modes.js';

/**
 * Requests taken beyond those that op sockets hold, so that one is always at hand when a socket gets free: whoever
 * submits comes back late, and less often, the emptier this may run (to half) before it is woken.
 */
const backlog = 8;

export interface IvChainOptions {
  mode: ChainMode;
  direction: Direction;
  /** The IV of the first request. Not for `inline`, whose requests bring their own. */
  iv?: Uint8Array;
  /** inline, resolved: requests in flight. staged: requests whose data waits in op sockets behind the one that runs. */
  depth?: number;
}

/** One op socket. */
interface Slot {
  request: Request;
  /** The IV of its request: engines read it until the request has completed. */
  iv: Uint8Array;
  item: Item | undefined;
  done: Done;
}

/**
 * A series of interdependent requests: each starts with the IV that the one before has left. Open another chain for
 * another stream. The dependency is explicit, and the mode says where it is resolved:
 *
 * - `inline`: no dependency; each request has its own IV and its own op socket. Completion order is free.
 * - `mutex`: the next request is built, its data copied into the kernel, only after the previous one has completed.
 * - `staged`: the data of the next `depth` requests is in their op sockets already; when the IV is known, one control
 *   message sets it and the read starts.
 * - `socket`: the kernel carries the IV on one op socket; no control message after the first.
 * - `resolved`: the next IV is known without the result (CBC decryption, CTR): the chain dissolves and runs in parallel.
 *
 * An error stops the chain: the requests behind it fail with a ChainError, and their op sockets are emptied. The tfm
 * stays usable; open a new chain on it.
 */
export class IvChain {
  readonly mode: ChainMode;
  readonly direction: Direction;
  readonly depth: number;
  readonly #row: ModeRow;
  readonly #tfm: Tfm;
  readonly #rule: IvRule | undefined;
  readonly #granularity: number;
  /** The IV of the next request to start; of the next to be submitted where it is `resolved`. */
  #iv: Uint8Array;
  #nextIv: Uint8Array;
  readonly #slots: Slot[] = [];
  readonly #free: Slot[] = [];
  /** Slots whose data is in the op, in the order of their requests. */
  readonly #staged: Slot[] = [];
  /** Requests not built yet. */
  #waiting: Item[] = [];
  readonly #deliveries = new Deliveries(() => {
    if (this.#waiting.length <= backlog / 2) for (const resolve of this.#room.splice(0)) resolve();
  });
  #running = 0;
  #accepted = 0;
  #partial = false;
  #ivOnSocket = false;
  #failure: ChainError | undefined;
  #closed = false;
  #room: (() => void)[] = [];

  /** @throws TypeError, RangeError when the mode does not fit the algorithm, AlgError */
  constructor(tfm: Tfm, options: IvChainOptions) {
    const { mode, direction, depth = 1 } = options;
    checkWord('mode', mode, chainModes);
    checkWord('direction', direction, ['encrypt', 'decrypt']);
    checkInteger('depth', depth, 1, 1024);
    const ivSize = tfm.info.ivSize ?? 0;
    if (tfm.type !== 'skcipher' || ivSize === 0)
      throw valueError(`tfm: expected a skcipher with an IV, got ${tfm.type} ${tfm.name}`);
    this.mode = mode;
    this.#row = modeRows[mode];
    this.direction = direction;
    this.depth = depth;
    this.#tfm = tfm;
    this.#rule = tfm.ivRule;
    const refusal = this.#row.refusal(tfm, this.#rule, direction);
    if (refusal) throw valueError(`mode: ${mode} ${refusal}`);
    this.#granularity = this.#rule?.granularity(ivSize) ?? ivSize;
    this.#iv = new Uint8Array(ivSize);
    this.#nextIv = new Uint8Array(ivSize);
    if (!this.#row.ownIvs) {
      const { iv } = options;
      if (iv === undefined) throw valueError(`iv: expected the IV of the first request for mode ${mode}, got none`);
      checkBytes('iv', iv);
      if (iv.length !== ivSize) throw wrongSize('iv', `${ivSize} bytes`, iv.length);
      this.#iv.set(iv);
    }
    this.#openSlots(ivSize);
  }

  /** The error that stopped the chain. */
  get failure(): ChainError | undefined {
    return this.#deliveries.hole ?? this.#failure;
  }
  /** Requests accepted whose completion has not been delivered. */
  get pending(): number {
    return this.#deliveries.pending;
  }

  /**
   * Accepts the next request of the series. `iv` only for `inline`. Never 'done': completions come later.
   * 'busy' means accepted, but stop until room(). The buffers must not be touched until then.
   * @throws TypeError, RangeError when the request itself is wrong; nothing has been accepted then
   */
  submit(src: Uint8Array, dst: Uint8Array, done: ChainDone, iv?: Uint8Array): Answer {
    this.#check(src, dst, iv);
    const index = this.#accepted++;
    const item: Item = { index, src, dst, iv, done, outcome: undefined };
    this.#deliveries.accept(item, this.#inOrder);
    if (this.#failure) {
      this.#deliver(item, this.#failure, 0, false);
      return 'in progress';
    }
    if (this.#inOrder) this.#resolve(item);
    this.#waiting.push(item);
    this.#pump();
    return this.#waiting.length >= backlog ? 'busy' : 'in progress';
  }

  /** As submit(), as a promise of the bytes written. */
  push(src: Uint8Array, dst: Uint8Array, iv?: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.submit(src, dst, (error, bytes) => (error ? reject(error) : resolve(bytes)), iv);
    });
  }

  /** Resolves when submit would not answer 'busy'. */
  async room(): Promise<void> {
    while (this.#waiting.length >= backlog) await new Promise<void>((resolve) => this.#room.push(resolve));
  }

  /** Resolves when every completion has been delivered. */
  idle(): Promise<void> {
    return this.#deliveries.idle();
  }

  /** Closes its op sockets. Requests that have not started fail; what is in flight completes first. Twice is once. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.pending > 0) {
      const next = this.#staged[0]?.item ?? this.#waiting[0];
      this.#stop(next?.index ?? this.#accepted, new AlgError(closedByUser(this.#tfm.name)));
    }
    for (const slot of this.#slots) slot.request.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.idle();
    this.close();
  }

  /** A series that runs in parallel is delivered as a series all the same. */
  get #inOrder(): boolean {
    return this.#row.parallel && !this.#row.ownIvs;
  }

  #openSlots(ivSize: number): void {
    const count = this.#row.slots(this.depth);
    try {
      for (let i = 0; i < count; i++) {
        const request = this.#tfm.request();
        request.direction = this.direction;
        const done: Done = (result, asynchronous) => this.#complete(slot, result, asynchronous, true);
        const slot: Slot = { request, iv: new Uint8Array(ivSize), item: undefined, done };
        this.#slots.push(slot);
      }
    } catch (error) {
      for (const slot of this.#slots) slot.request.close();
      throw error;
    }
    this.#free.push(...this.#slots);
  }

  #check(src: Uint8Array, dst: Uint8Array, iv: Uint8Array | undefined): void {
    if (this.#closed) throw new AlgError(closedByUser(this.#tfm.name));
    checkBytes('src', src);
    checkBytes('dst', dst);
    if (dst.length !== src.length) throw wrongSize('dst', `${src.length} bytes as src has`, dst.length);
    const max = this.#tfm.maxRequest();
    if (src.length > max)
      throw wrongSize('src', `at most ${max} bytes for one request of ${this.#tfm.name}`, src.length);
    if (this.#row.ownIvs) {
      if (iv === undefined) throw valueError(`iv: expected the request's own for mode ${this.mode}, got none`);
      checkBytes('iv', iv);
      if (iv.length !== this.#iv.length) throw wrongSize('iv', `${this.#iv.length} bytes`, iv.length);
      return;
    }
    if (iv !== undefined) throw valueError(`iv: expected none for mode ${this.mode}, got one`);
    if (this.#partial)
      throw rangeError(`src: expected no request after one of less than whole blocks of ${this.#granularity} bytes`);
    this.#partial = src.length % this.#granularity !== 0;
  }

  /** Takes the item's IV from the chain and moves the chain past it. */
  #resolve(item: Item): void {
    item.iv = Uint8Array.from(this.#iv);
    if (item.src.length > 0) this.#rule!.advance(this.direction, item.iv, item.src, item.dst, this.#iv);
  }

  /** Starts what can start, then builds ahead what may be built. */
  #pump(): void {
    if (this.#failure) return;
    if (this.#row.parallel) {
      while (this.#free.length > 0 && this.#waiting.length > 0) {
        const slot = this.#take();
        slot.iv.set(slot.item!.iv!);
        this.#start(slot);
      }
      return;
    }
    // One at a time. A request that completes at once (sync engine) lets the next one start in the same turn.
    while (!this.#failure && this.#running === 0 && (this.#staged.length > 0 || this.#waiting.length > 0)) {
      const slot = this.#staged.shift() ?? this.#take();
      this.#beginChained(slot);
      this.#start(slot);
    }
    if (!this.#row.stages) return;
    while (!this.#failure && this.#free.length > 0 && this.#waiting.length > 0) this.#stage(this.#take());
  }

  #take(): Slot {
    const slot = this.#free.pop()!;
    slot.item = this.#waiting.shift()!;
    slot.request.src = slot.item.src;
    slot.request.dst = slot.item.dst;
    return slot;
  }

  /** Sets the IV, and where the next is known already, notes it now: the source may be overwritten in place. */
  #beginChained(slot: Slot): void {
    slot.iv.set(this.#iv);
    const { src, dst } = slot.item!;
    if (src.length > 0 && this.#rule?.known(this.direction))
      this.#rule.advance(this.direction, slot.iv, src, dst, this.#nextIv);
  }

  #stage(slot: Slot): void {
    const { request, item } = slot;
    this.#staged.push(slot);
    if (item!.src.length === 0) return;
    try {
      request.stage();
    } catch (error) {
      this.#staged.pop();
      this.#fail(slot, error as Error, false);
    }
  }

  #start(slot: Slot): void {
    const { request, item } = slot;
    this.#running++;
    request.iv = this.#ivOnSocket ? null : slot.iv;
    if (this.#row.carried && item!.src.length > 0) this.#ivOnSocket = true;
    let answer: Answer;
    try {
      answer = request.submit(slot.done);
    } catch (error) {
      this.#running--;
      this.#fail(slot, error as Error, false);
      return;
    }
    if (answer === 'done') this.#complete(slot, request.result, false, false);
  }

  #complete(slot: Slot, result: number, asynchronous: boolean, fromEngine: boolean): void {
    this.#running--;
    if (fromEngine) this.#deliveries.flush();
    if (result < 0) {
      this.#fail(slot, slot.request.error(result), asynchronous);
      if (fromEngine) this.#pump();
    } else {
      const item = slot.item!;
      if (!this.#row.parallel) this.#endChained(slot, item);
      slot.item = undefined;
      this.#free.push(slot);
      // The next request first: it is on the critical path, the caller's completion is not.
      if (fromEngine) this.#pump();
      if (fromEngine && !this.#inOrder) this.#deliveries.now(item, { error: null, bytes: result, asynchronous });
      else this.#deliver(item, null, result, asynchronous);
    }
  }

  /** The IV that this request has left is the chain's now. */
  #endChained(slot: Slot, { src, dst }: Item): void {
    if (src.length === 0 || !this.#rule) return;
    if (!this.#rule.known(this.direction)) this.#rule.advance(this.direction, slot.iv, src, dst, this.#nextIv);
    [this.#iv, this.#nextIv] = [this.#nextIv, this.#iv];
  }

  #fail(slot: Slot, error: Error, asynchronous: boolean): void {
    const item = slot.item!;
    this.#empty(slot);
    this.#deliver(item, error, 0, asynchronous);
    if (!this.#row.ownIvs) this.#stop(item.index, error);
  }

  /** Takes the slot back without what its op socket may still hold. */
  #empty(slot: Slot): void {
    slot.item = undefined;
    this.#free.push(slot);
    if (slot.request.closed) return;
    try {
      slot.request.reset();
    } catch {
      // The tfm has been closed meanwhile: the op goes with it.
      slot.request.close();
    }
  }

  /** Ends the series: everything that has not started fails with the cause. */
  #stop(index: number, cause: Error): void {
    if (this.#failure) return;
    const failure = new ChainError(index, cause);
    this.#failure = failure;
    const staged = this.#staged.splice(0);
    const behind = [...staged.map((slot) => slot.item!), ...this.#waiting];
    this.#waiting = [];
    // Nothing starts here any more: the sockets go, and with them what was staged. What is in flight completes first.
    for (const slot of this.#slots) slot.request.close();
    for (const item of behind) this.#deliver(item, failure, 0, false);
  }

  #deliver(item: Item, error: Error | null, bytes: number, asynchronous: boolean): void {
    if (this.#inOrder) this.#deliveries.inOrder(item, { error, bytes, asynchronous });
    else this.#deliveries.later(item, { error, bytes, asynchronous });
  }
}

function closedByUser(alg: string) {
  return { code: 'ECANCELED', errno: 125, syscall: 'chain', alg, hint: 'the chain is closed' };
}
