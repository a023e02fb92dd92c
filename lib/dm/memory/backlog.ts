import { isBacklogWatched, since, tellBacklog } from '../../base/observe.js';
import {
  type Answer,
  type Done,
  type Engine,
  type EngineHoldings,
  holdingsOf,
  type Work,
} from '../../crypto/engine/engine.js';

/**
 * An engine with a queue before it. What comes while the engine is busy is accepted, and submitted in its order as soon as there is room:
 * the engine never has more in flight than it asked for, and nothing is dropped (crypto_enqueue_request and CRYPTO_TFM_REQ_MAY_BACKLOG).
 * It is as long as its users make it: they stop at 'busy' until room(). Closing it closes the engine.
 */
export class Backlog implements Engine {
  readonly #engine: Engine;
  #held: { work: Work; done: Done }[] = [];
  #busy = false;
  #waiting: (() => void)[] = [];
  /** The most that have waited at a time since something began to, and since when; 0 where nobody wants to know. */
  #most = 0;
  #since = 0n;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get name(): Engine['name'] {
    return this.#engine.name;
  }
  get depth(): number {
    return this.#engine.depth;
  }
  /** Works that wait for room. */
  get held(): number {
    return this.#held.length;
  }

  submit(work: Work, done: Done): Answer {
    if (!this.#busy && this.#held.length === 0) return this.#pass(work, done);
    this.#held.push({ work, done });
    if (this.#held.length === 1) this.#begin();
    this.#most = Math.max(this.#most, this.#held.length);
    return 'busy';
  }

  async room(): Promise<void> {
    while (this.#busy) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  holdings(): EngineHoldings {
    return { ...holdingsOf(this.#engine), backlog: this.held };
  }

  close(): void {
    this.#engine.close();
  }

  #pass(work: Work, done: Done): Answer {
    const answer = this.#engine.submit(work, done);
    if (answer === 'busy') {
      this.#busy = true;
      void this.#engine.room().then(() => this.#goOn());
    }
    return answer;
  }

  #goOn(): void {
    this.#busy = false;
    let passed = 0;
    while (passed < this.#held.length && !this.#busy) {
      const { work, done } = this.#held[passed++]!;
      if (this.#pass(work, done) !== 'done') continue;
      try {
        done(work.result, work.asynchronous);
      } catch (error) {
        // One callback's exception must not keep the others' works from the engine.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    this.#held = this.#held.slice(passed);
    if (passed > 0 && this.#held.length === 0) this.#end();
    if (!this.#busy) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #begin(): void {
    if (!isBacklogWatched()) return;
    this.#most = 0;
    this.#since = process.hrtime.bigint();
    const { name: engine, depth } = this.#engine;
    tellBacklog({ state: 'begin', engine, depth, held: 1, duration: 0 });
  }

  #end(): void {
    if (this.#since === 0n) return;
    const { name: engine, depth } = this.#engine;
    tellBacklog({ state: 'end', engine, depth, held: this.#most, duration: since(this.#since) });
    this.#since = 0n;
  }
}
