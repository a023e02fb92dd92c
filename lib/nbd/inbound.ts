import type { Duplex } from 'node:stream';

/** The other side has gone away, in the middle of what it was saying or not. */
export class Disconnected extends Error {
  override readonly name = 'Disconnected';
}

/**
 * What comes in on a socket, read in pieces of known length. No more than the stream's own buffer is taken before it is asked for, so that a
 * peer that sends faster than it is served waits in the network.
 */
export class Inbound {
  readonly #socket: Duplex;
  #error: Error | undefined;
  /** Who waits for more. */
  #wake: (() => void) | undefined;
  readonly #listeners = {
    readable: () => this.#wake?.(),
    end: () => this.#over(),
    close: () => this.#over(),
    error: (error: Error) => this.#over(error),
  };

  constructor(socket: Duplex) {
    this.#socket = socket;
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
  }

  #over(error?: Error): void {
    this.#error ??= new Disconnected(error?.message ?? 'the connection was closed', { cause: error });
    this.#wake?.();
  }

  /** True after the last byte: asked before a message, an end is no error. */
  async ended(): Promise<boolean> {
    while (this.#socket.readableLength === 0) {
      if (this.#error) return true;
      await this.#more();
    }
    return false;
  }

  /** The next bytes, to keep. @throws Disconnected */
  async take(length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    await this.into(bytes);
    return bytes;
  }

  /** Fills `bytes`; `onChunk` hears the lengths of what comes. @throws Disconnected */
  async into(bytes: Uint8Array, onChunk?: (length: number) => void): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const chunk = this.#chunk(bytes.length - done);
      if (chunk) {
        bytes.set(chunk, done);
        done += chunk.length;
        onChunk?.(chunk.length);
      } else await this.#more();
    }
  }

  /** Reads past bytes that nobody wants; `onChunk` as for `into`. @throws Disconnected */
  async skip(length: number, onChunk?: (length: number) => void): Promise<void> {
    for (let left = length; left > 0; ) {
      const chunk = this.#chunk(left);
      if (chunk) {
        left -= chunk.length;
        onChunk?.(chunk.length);
      } else await this.#more();
    }
  }

  /** What waits for more, now or later, ends as if the other side had gone. */
  stop(): void {
    this.#over();
  }

  /** Leaves the socket to somebody else. */
  release(): void {
    for (const [event, listener] of Object.entries(this.#listeners)) this.#socket.off(event, listener);
  }

  /** What is there already, at most so much; null where that is nothing. @throws Disconnected when nothing will come either */
  #chunk(most: number): Buffer | null {
    // What a socket that has been given up still holds is nobody's: whose bytes it was for may have been told that they do not come.
    const available = this.#socket.destroyed ? 0 : Math.min(this.#socket.readableLength, most);
    const chunk = available > 0 ? (this.#socket.read(available) as Buffer | null) : null;
    if (!chunk && this.#error) throw this.#error;
    return chunk;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
      // A stream says 'readable' only after a read that found nothing.
      this.#socket.read(0);
    });
  }
}
