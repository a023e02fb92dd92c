import { type ByteRange, protocolError } from './error.js';

interface Chunk {
  from: number;
  to: number;
  /** Where what can be believed of it ends. */
  good: number;
}

/** Shortest that a server's chunks are on the average: more of them are an attack on memory. */
const leastChunk = 512;

/** Which bytes of a read of this length have come, in whatever order the chunks of a structured reply bring them. */
export class Coverage {
  /** In the order of their places. */
  readonly #chunks: Chunk[] = [];

  constructor(readonly length: number) {}

  /** Notes content. @throws NbdError when it is outside the read or has come before, or there is too much of it */
  add(from: number, to: number, good = to): void {
    if (from < 0 || to > this.length || to <= from)
      throw protocolError(`a chunk of bytes ${from} to ${to} in the reply to a read of ${this.length}`);
    const index = this.#after(from);
    if ((this.#chunks[index - 1]?.to ?? 0) > from || (this.#chunks[index]?.from ?? to) < to)
      throw protocolError(`overlapping chunks at byte ${from} of the reply to a read`);
    if (this.#chunks.length > this.length / leastChunk + 2)
      throw protocolError(`a read of ${this.length} bytes answered in more than ${this.#chunks.length} chunks`);
    this.#chunks.splice(index, 0, { from, to, good });
  }

  /** Notes an error at a byte: the chunk that it lies in is good up to there; what has not come may not come any more. @throws NbdError */
  spoil(at: number): void {
    const chunk = this.#chunks[this.#after(at) - 1];
    if (chunk && at < chunk.to) chunk.good = Math.min(chunk.good, at);
    else this.add(at, at + 1, at);
  }

  /** What cannot be used, in order. */
  missing(): ByteRange[] {
    const gaps: ByteRange[] = [];
    let end = 0;
    for (const { from, good } of this.#chunks.filter(({ from, good }) => good > from)) {
      if (from > end) gaps.push({ offset: end, length: from - end });
      end = good;
    }
    if (end < this.length) gaps.push({ offset: end, length: this.length - end });
    return gaps;
  }

  /** Index of the first chunk that begins behind a byte. */
  #after(at: number): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#chunks[middle]!.from <= at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
