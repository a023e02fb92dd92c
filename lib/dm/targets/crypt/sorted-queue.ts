/**
 * Holds what comes until its turn and then gives all of it in the order of its keys, equal ones in the order of their coming: dm-crypt's
 * write thread and its tree (drivers/md/dm-crypt.c:dmcrypt_write).
 */
export class SortedQueue<T> {
  readonly #give: (item: T) => void;
  readonly #schedule: (turn: () => void) => void;
  #entries: { key: number; item: T }[] = [];

  /** `schedule` calls back once, later: by default when the event loop has seen all completions of this turn. */
  constructor(give: (item: T) => void, schedule: (turn: () => void) => void = setImmediate) {
    this.#give = give;
    this.#schedule = schedule;
  }

  /** What waits for its turn. */
  get size(): number {
    return this.#entries.length;
  }

  add(key: number, item: T): void {
    if (this.#entries.length === 0) this.#schedule(() => this.#turn());
    this.#entries.push({ key, item });
  }

  #turn(): void {
    const entries = this.#entries;
    this.#entries = [];
    // A stable sort: ECMA-262, 23.1.3.30.
    for (const { item } of entries.sort((a, b) => a.key - b.key)) this.#give(item);
  }
}
