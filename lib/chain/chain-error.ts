/** What requests of a chain fail with when an earlier one has: that one's number, and its error as the cause. */
export class ChainError extends Error {
  override readonly name = 'ChainError';
  /** Which request of the chain failed first, from 0. */
  readonly index: number;
  /** The code of the error that stopped the chain, or ECLOSED. */
  readonly code: string;

  constructor(index: number, cause: Error & { code?: string }) {
    super(`the chain stopped at request ${index}: ${cause.message}`, { cause });
    this.index = index;
    this.code = cause.code ?? 'ECHAIN';
  }
}
