import type { Answer, Done, Engine, Work } from '../alg/engine.js';

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
    return 'busy';
  }

  async room(): Promise<void> {
    while (this.#busy) await new Promise<void>((resolve) => this.#waiting.push(resolve));
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
      if (this.#pass(work, done) === 'done') done(work.result, work.asynchronous);
    }
    this.#held = this.#held.slice(passed);
    if (!this.#busy) for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
