import { binding, type EngineHandle, ringEntry } from '../../base/binding.js';
import { checkInteger } from '../../base/bytes.js';
import { ECANCELED } from '../../base/errno.js';
import { monotonic } from '../../base/monotonic.js';
import { algError } from '../error.js';

export type EngineName = 'sync' | 'lanes' | 'aio';
export const engineNames: readonly EngineName[] = ['sync', 'lanes', 'aio'];

/**
 * What submit answers, as the kernel's crypto API does: 'done' - finished already, the result is in the work and no
 * callback comes; 'in progress' - the callback comes later, exactly once; 'busy' - the same, accepted into the backlog,
 * but stop submitting until room().
 */
export type Answer = 'done' | 'in progress' | 'busy';

/** Bytes or -errno, and whether it completed after its submission had returned (AIO) or on another thread (lanes). */
export type Done = (result: number, asynchronous: boolean) => void;

/** What an engine runs: a Request or a Batch. Results are bytes or -errno. */
export interface Work {
  /** Bytes or -errno, once done. */
  result: number;
  asynchronous: boolean;
  /** Once done: when its crypto began and when it ended, as monotonic(). 0 with AIO, which does not tell, and where it never ran. */
  began: number;
  ended: number;
  /** Runs it in this thread. Returns the bytes or -errno; does not throw. */
  execute(): number;
  /** Gives it to a native engine under this id. Returns 0 or -errno; does not throw. */
  dispatch(engine: EngineHandle, id: number): number;
}

/** What an engine holds. */
export interface EngineHoldings {
  name: string;
  /** Threads of its own. */
  lanes: number;
  depth: number;
  inFlight: number;
  /** Works that wait in the backlog before it. */
  backlog: number;
  /** An eventfd. */
  descriptors: number;
}

/** Runs work. One engine serves any number of tfms. */
export interface Engine {
  readonly name: EngineName | 'manual';
  /** From this many in flight on, submit answers 'busy'. */
  readonly depth: number;
  submit(work: Work, done: Done): Answer;
  /** Resolves when fewer than `depth` are in flight. */
  room(): Promise<void>;
  holdings?(): EngineHoldings;
  close(): void;
}

/** What is known of any engine. */
export function holdingsOf(engine: Engine): EngineHoldings {
  const { name, depth } = engine;
  return engine.holdings?.() ?? { name, lanes: 0, depth, inFlight: 0, backlog: 0, descriptors: 0 };
}

function end(work: Work, result: number, asynchronous: boolean, began = 0, ended = 0): void {
  work.result = result;
  work.asynchronous = asynchronous;
  work.began = began;
  work.ended = ended;
}

/** The caller's thread. */
export class SyncEngine implements Engine {
  readonly name = 'sync';
  readonly depth = 1;
  submit(work: Work): Answer {
    const began = monotonic();
    end(work, work.execute(), false, began, monotonic());
    return 'done';
  }
  room(): Promise<void> {
    return Promise.resolve();
  }
  close(): void {}
}

interface Pending {
  work: Work;
  done: Done;
}

const ringEntries = 256;

/** Worker lanes or the kernel's AIO: what is in flight, and the way back. */
export class NativeEngine implements Engine {
  readonly name: 'lanes' | 'aio';
  readonly depth: number;
  readonly #handle: EngineHandle;
  readonly #lanes: number;
  readonly #ring = new Float64Array(ringEntry * ringEntries);
  // What is in flight is referenced from here until its completion has been taken: buffers stay where they are.
  readonly #pending: (Pending | undefined)[] = [];
  readonly #free: number[] = [];
  #inFlight = 0;
  #waiting: (() => void)[] = [];
  #closed = false;

  // Native code holds this weakly while nothing is in flight, so it has to be held here.
  readonly #deliver = (count: number): void => {
    const ring = this.#ring;
    for (let at = 0; at < count * ringEntry; at += ringEntry) {
      const id = ring[at]!;
      const pending = this.#pending[id];
      if (!pending) continue; // closed by an earlier callback of this delivery
      this.#release(id);
      this.#inFlight--;
      end(pending.work, ring[at + 1]!, ring[at + 2] === 1, ring[at + 3]!, ring[at + 4]!);
      this.#call(pending);
    }
    if (this.#inFlight < this.depth) this.#wake();
  };

  /** @throws AlgError where the kernel has no AIO, or the lanes may not be so little nice */
  constructor(name: 'lanes' | 'aio', size: number, depth: number, nice = 0) {
    this.name = name;
    this.depth = depth;
    const handle =
      name === 'lanes'
        ? binding().lanes_open(size, this.#deliver, this.#ring, nice)
        : binding().aio_open(size, this.#deliver, this.#ring);
    if (typeof handle === 'number') throw algError(name === 'lanes' ? 'clone' : 'io_setup', name, handle);
    this.#handle = handle;
    this.#lanes = name === 'lanes' ? size : 0;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  submit(work: Work, done: Done): Answer {
    const id = this.#free.pop() ?? this.#pending.length;
    this.#pending[id] = { work, done };
    const refused = this.#closed ? -ECANCELED : work.dispatch(this.#handle, id);
    if (refused < 0) {
      this.#release(id);
      end(work, refused, false);
      return 'done';
    }
    this.#inFlight++;
    return this.#inFlight >= this.depth ? 'busy' : 'in progress';
  }

  async room(): Promise<void> {
    while (this.#inFlight >= this.depth) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  holdings(): EngineHoldings {
    const { name, depth, inFlight } = this;
    return { name, lanes: this.#lanes, depth, inFlight, backlog: 0, descriptors: 1 };
  }

  /** Waits for what runs; requests that have not begun end with ECANCELED. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    binding().engine_close(this.#handle);
    const left = this.#pending.filter((entry) => entry !== undefined);
    this.#pending.length = 0;
    this.#inFlight = 0;
    // Never inside the caller's call.
    queueMicrotask(() => {
      for (const pending of left) {
        end(pending.work, -ECANCELED, false);
        this.#call(pending);
      }
      this.#wake();
    });
  }

  #release(id: number): void {
    this.#pending[id] = undefined;
    this.#free.push(id);
  }

  #call({ work, done }: Pending): void {
    try {
      done(work.result, work.asynchronous);
    } catch (error) {
      // One callback's exception must not keep the others' completions from them.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** Opens worker lanes: `lanes` threads of this niceness. @throws AlgError (EACCES: CAP_SYS_NICE is missing), RangeError */
export function openLanes(lanes: number, depth = 64, nice = 0): Engine {
  checkInteger('lanes', lanes, 1, 256);
  checkInteger('depth', depth, 1, 4096);
  checkInteger('nice', nice, -20, 19);
  return new NativeEngine('lanes', lanes, depth, nice);
}

/** Opens a context of the kernel's AIO for `depth` IOCBs in flight. @throws AlgError, RangeError */
export function openAio(depth = 64): Engine {
  checkInteger('depth', depth, 1, 4096);
  return new NativeEngine('aio', depth, depth);
}
