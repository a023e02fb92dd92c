import type { Batch } from '../request/batch.js';

/** Sectors that the cipher failed on. */
export class SectorError extends Error {
  override readonly name = 'SectorError';
  constructor(
    /** 512-byte units, as given to convert; the first of each crypto sector. */
    readonly sectors: number[],
    options: ErrorOptions,
  ) {
    const [first] = sectors;
    const more = sectors.length > 1 ? ` and ${sectors.length - 1} more` : '';
    super(`sector ${first}${more}: ${(options.cause as Error).message}`, options);
  }
}

/** The index of a part's sector in the bio. */
export type IndexOf = (index: number) => number;

/** What became of a bio. */
export class Outcome {
  asynchronous = false;
  /** Indexes of sectors. */
  readonly #failed: number[] = [];
  #cause: unknown;

  /** All of a part's sectors. */
  failAll(count: number, indexOf: IndexOf, cause: unknown): void {
    for (let index = 0; index < count; index++) this.#failed.push(indexOf(index));
    this.#cause ??= cause;
  }
  /** Those units of a batch that say so, or all where it did not come to it. */
  failUnits({ status, failure }: Batch, indexOf: IndexOf): void {
    const units = [...status.keys()];
    const failed = units.filter((unit) => status[unit]! < 0);
    for (const unit of failed.length ? failed : units) this.#failed.push(indexOf(unit));
    this.#cause ??= failure;
  }
  /** Of sectors of `step` 512-byte units, the first of which is `sector`. */
  error(sector: number, step: number): SectorError | null {
    if (this.#failed.length === 0) return null;
    const sectors = this.#failed.map((index) => sector + index * step).sort((a, b) => a - b);
    return new SectorError(sectors, { cause: this.#cause });
  }
}
