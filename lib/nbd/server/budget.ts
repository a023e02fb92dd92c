import type { Clock } from '../../base/clock.js';

/** Who holds bytes of a budget. */
export interface Holder {
  /** Since when it has been waiting for its client to send or to take what it holds bytes for, by the budget's clock; undefined if it is not. */
  stalledSince(): number | undefined;
  /** Its client has kept others waiting for too long: give everything back, soon. */
  evict(): void;
}

export interface BudgetOptions {
  /** Bytes that all may hold together. */
  total: number;
  /** Bytes that one may hold, if it has more than one thing to hold bytes for. */
  share: number;
  /** Milliseconds that a holder may be stalled while others wait for what it holds. */
  patience: number;
  clock: Clock;
}

interface Waiter {
  account: Account;
  bytes: number;
  enter: () => void;
}

/**
 * Bytes of requests that are being received or answered, over all connections. Who wants some waits in line, but for those whose own share is
 * used up, who hold up nobody. What a client does not take or send it keeps, until others need it: then it goes.
 */
export class Budget {
  readonly options: BudgetOptions;
  readonly #accounts = new Set<Account>();
  readonly #queue: Waiter[] = [];
  #used = 0;
  #stopTimer: (() => void) | undefined;

  constructor(options: BudgetOptions) {
    this.options = options;
  }

  /** Bytes that are held. */
  get used(): number {
    return this.#used;
  }

  open(holder: Holder): Account {
    const account = new Account(this, holder);
    this.#accounts.add(account);
    return account;
  }

  /** @see Account.take */
  take(account: Account, bytes: number): Promise<void> | undefined {
    // Who is ahead may wait for its own share alone; the timer runs while somebody waits for what others hold.
    if (this.#stopTimer === undefined && this.#fits(account, bytes)) {
      this.#grant(account, bytes);
      return undefined;
    }
    return new Promise((enter) => {
      this.#queue.push({ account, bytes, enter });
      this.#advance();
    });
  }

  give(account: Account, bytes: number): void {
    account.used -= bytes;
    this.#used -= bytes;
    if (this.#queue.length > 0) this.#advance();
  }

  close(account: Account): void {
    this.#accounts.delete(account);
  }

  #fits(account: Account, bytes: number): boolean {
    return this.#inShare(account, bytes) && this.#used + bytes <= this.options.total;
  }

  #inShare(account: Account, bytes: number): boolean {
    return account.used === 0 || account.used + bytes <= this.options.share;
  }

  #grant(account: Account, bytes: number): void {
    account.used += bytes;
    this.#used += bytes;
  }

  /** Lets in whom there is room for, up to the first one who needs more than all have left. */
  #advance(): void {
    let short = false;
    for (let at = 0; at < this.#queue.length && !short; ) {
      const { account, bytes, enter } = this.#queue[at]!;
      if (!this.#inShare(account, bytes)) at++;
      else if (this.#used + bytes > this.options.total) short = true;
      else {
        this.#queue.splice(at, 1);
        this.#grant(account, bytes);
        enter();
      }
    }
    if (short) this.#stopTimer ??= this.options.clock.after(this.options.patience, () => this.#evict());
    else {
      this.#stopTimer?.();
      this.#stopTimer = undefined;
    }
  }

  #evict(): void {
    this.#stopTimer = undefined;
    const before = this.options.clock.now() - this.options.patience;
    for (const { used, holder } of [...this.#accounts]) {
      const since = used > 0 ? holder.stalledSince() : undefined;
      if (since !== undefined && since <= before) holder.evict();
    }
    this.#advance();
  }
}

/** What one connection holds of a budget. */
export class Account {
  used = 0;
  readonly #budget: Budget;

  constructor(
    budget: Budget,
    readonly holder: Holder,
  ) {
    this.#budget = budget;
  }

  /** Takes bytes, at most the budget's total, now (undefined) or when there is room; one at a time waits. */
  take(bytes: number): Promise<void> | undefined {
    return this.#budget.take(this, bytes);
  }

  give(bytes: number): void {
    this.#budget.give(this, bytes);
  }

  /** Nothing will be taken any more, and everything has been given back. */
  close(): void {
    this.#budget.close(this);
  }
}
