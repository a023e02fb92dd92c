export interface BudgetOptions {
  /** Bytes of its own that each account has, whatever the others hold. */
  reserve: number;
  /** Bytes that all accounts together may hold beyond their reserves. */
  total: number;
  /** Bytes that one may hold, if it has more than one thing to hold bytes for. */
  share: number;
}

/**
 * Bytes of requests that are being received or answered, over all connections. Each account has a reserve that nobody else can use, so that no
 * client ever waits for another one. What lies beyond it makes requests faster, and whoever comes first has it.
 */
export class Budget {
  readonly options: BudgetOptions;
  /** Bytes that are held, and those of them that lie beyond reserves. */
  #used = 0;
  #shared = 0;

  constructor(options: BudgetOptions) {
    this.options = options;
  }

  /** Bytes that are held. */
  get used(): number {
    return this.#used;
  }

  open(): Account {
    return new Account(this);
  }

  /** @see Account.take */
  take(account: Account, bytes: number): boolean {
    const { share, total } = this.options;
    const used = account.used + bytes;
    if (account.used > 0 && used > share) return false;
    if (this.#shared + this.#beyond(used) - this.#beyond(account.used) > total && this.#beyond(used) > 0) return false;
    this.change(account, bytes);
    return true;
  }

  change(account: Account, bytes: number): void {
    this.#shared += this.#beyond(account.used + bytes) - this.#beyond(account.used);
    account.used += bytes;
    this.#used += bytes;
  }

  /** Bytes of so many that an account holds beyond its reserve. */
  #beyond(used: number): number {
    return Math.max(0, used - this.options.reserve);
  }
}

/** What one connection holds of a budget. */
export class Account {
  used = 0;
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /**
   * Takes bytes, if they are there. An account that holds nothing always gets its reserve, and as much as the total if nobody else has any of it.
   * @returns whether it has them
   */
  take(bytes: number): boolean {
    return this.#budget.take(this, bytes);
  }

  give(bytes: number): void {
    this.#budget.change(this, -bytes);
  }
}
