/** A set of small numbers: a bit for each, the only thing kept per block. */
export class Bitmap {
  readonly #bits: Uint8Array;
  /** Numbers in it. */
  size = 0;

  constructor(limit: number) {
    this.#bits = new Uint8Array(Math.ceil(limit / 8));
  }

  /** What it takes. */
  get bytes(): number {
    return this.#bits.length;
  }

  has(index: number): boolean {
    return (this.#bits[Math.floor(index / 8)]! & (1 << (index % 8))) !== 0;
  }
  add(index: number): void {
    if (this.has(index)) return;
    this.#bits[Math.floor(index / 8)]! |= 1 << (index % 8);
    this.size++;
  }
  delete(index: number): void {
    if (!this.has(index)) return;
    this.#bits[Math.floor(index / 8)]! &= ~(1 << (index % 8));
    this.size--;
  }

  /** In order. What is added behind the current one while going through comes too. */
  *[Symbol.iterator](): Generator<number, void> {
    for (let byte = 0; byte < this.#bits.length; byte++)
      for (let bit = 0; this.#bits[byte]! >> bit; bit++) if (this.#bits[byte]! & (1 << bit)) yield byte * 8 + bit;
  }
}
