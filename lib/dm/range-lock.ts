interface Entry {
  first: number;
  end: number;
  exclusive: boolean;
  /** Earlier entries that are still in its way. */
  blockers: number;
  /** Later ones whose way it is in. */
  followers: Entry[];
  enter: () => void;
}

/** Ranges held by readers together or by one writer alone; who overlaps waits for those that asked before, in their order. */
export class RangeLock {
  readonly #entries = new Set<Entry>();

  /**
   * Calls `enter` when nobody is in the way any more, at once if nobody is; what it is given gives the range back. Its place in the order is
   * taken at once.
   */
  acquire(first: number, count: number, exclusive: boolean, enter: (release: () => void) => void): void {
    const entry: Entry = {
      first,
      end: first + count,
      exclusive,
      blockers: 0,
      followers: [],
      enter: () => enter(() => this.#release(entry)),
    };
    for (const earlier of this.#entries) {
      const overlaps = earlier.first < entry.end && entry.first < earlier.end;
      if (!overlaps || !(earlier.exclusive || exclusive)) continue;
      earlier.followers.push(entry);
      entry.blockers++;
    }
    this.#entries.add(entry);
    if (entry.blockers === 0) entry.enter();
  }

  #release(entry: Entry): void {
    if (!this.#entries.delete(entry)) return;
    // Not from here: who enters may end at once, and so would the next, each a level deeper.
    for (const follower of entry.followers) if (--follower.blockers === 0) queueMicrotask(follower.enter);
  }
}
