import { Bio, type BioError, sectorSize } from './bio.js';

/**
 * Passes all of a bio on to a taker who sees it at `sector`, without a Join; `ended` is called just before it ends. An end that comes while
 * `take` runs waits for its return: what a taker throws then is the submitter's to see.
 */
export function passWhole(bio: Bio, sector: number, ended: () => void, take: (whole: Bio) => void): void {
  let isTaken = false;
  let early: BioError | null | undefined;
  const end = (error: BioError | null) => {
    ended();
    bio.end(error);
  };
  const { op, bytes, fua } = bio;
  const whole = new Bio({ op, sector, fua, bytes }, (error) => {
    if (isTaken) end(error);
    else early = error;
  });
  take(whole);
  isTaken = true;
  if (early !== undefined) end(early);
}

/**
 * Collects the ends of the pieces of a bio and ends it with the last: with success, or with the failed sectors of all pieces.
 * Open it before the first piece goes: pieces may end while they are submitted.
 */
export class Join {
  #open = 1;
  #error: BioError | null = null;

  /** `ended` is called just before the bio ends. */
  constructor(
    readonly bio: Bio,
    readonly ended?: () => void,
  ) {}

  /** The piece of `count` sectors from `first` of the bio, which its taker sees at `sector`. */
  piece(first: number, count: number, sector: number): Bio {
    this.#open++;
    const { op, bytes, fua } = this.bio;
    const part = bytes.length
      ? { bytes: bytes.subarray(first * sectorSize, (first + count) * sectorSize) }
      : { sectors: count };
    return new Bio({ op, sector, fua, ...part }, (error) => this.#end(error, first));
  }

  /** No further pieces. */
  close(): void {
    this.#end(null, 0);
  }

  #end(error: BioError | null, first: number): void {
    if (error) {
      const failed = error.failed.map((range) => ({ first: first + range.first, count: range.count }));
      // The first one's code and cause stand for all.
      this.#error = { ...(this.#error ?? error), failed: [...(this.#error?.failed ?? []), ...failed] };
    }
    if (--this.#open > 0) return;
    this.ended?.();
    this.bio.end(this.#error);
  }
}
