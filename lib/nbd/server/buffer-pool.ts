/** Bytes of the smallest buffer. Each larger class has twice the bytes. */
const smallest = 4096;

/** Bytes of the buffer that holds so many. */
export function bufferBytes(length: number): number {
  return length <= smallest ? smallest : 2 ** Math.ceil(Math.log2(length));
}

/**
 * Buffers to be used again: memory that was never touched is dear, as the kernel has to find and clear it. Those in use and those that
 * wait to be used again are at most `limit` bytes, if no more than that are in use.
 */
export class BufferPool {
  readonly #limit: number;
  /** Idle ones, by their bytes. */
  readonly #idle = new Map<number, Buffer[]>();
  #idleBytes = 0;
  #usedBytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes held, in use and idle. */
  get bytes(): number {
    return this.#idleBytes + this.#usedBytes;
  }

  /** At least so many bytes, with anything in them. Give the same buffer back. */
  take(length: number): Buffer {
    const bytes = bufferBytes(length);
    this.#usedBytes += bytes;
    const idle = this.#idle.get(bytes)?.pop();
    if (idle) {
      this.#idleBytes -= bytes;
      return idle;
    }
    this.#shrink();
    return Buffer.allocUnsafeSlow(bytes);
  }

  give(buffer: Buffer): void {
    this.#usedBytes -= buffer.length;
    this.#idleBytes += buffer.length;
    const idle = this.#idle.get(buffer.length);
    if (idle) idle.push(buffer);
    else this.#idle.set(buffer.length, [buffer]);
  }

  /** Lets idle buffers go until there is room: the largest first, which are the fewest. */
  #shrink(): void {
    for (const bytes of [...this.#idle.keys()].sort((a, b) => b - a)) {
      const idle = this.#idle.get(bytes)!;
      while (idle.length > 0 && this.bytes > this.#limit) {
        idle.pop();
        this.#idleBytes -= bytes;
      }
    }
  }
}
