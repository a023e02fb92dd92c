import type { Socket } from 'node:net';

/** The other side has gone away, in the middle of what it was saying or not. */
export class Disconnected extends Error {
  override readonly name = 'Disconnected';
}

/**
 * What comes in on a socket, read in pieces of known length. No more than the stream's own buffer is taken before it is asked for, so that a
 * peer that sends faster than it is served waits in the network.
 */
export class Inbound {
  readonly #socket: Socket;
  #error: Error | undefined;
  /** Who waits for more. */
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    const over = (error?: Error) => {
      this.#error ??= new Disconnected(error?.message ?? 'the connection was closed', { cause: error });
      this.#wake?.();
    };
    socket.on('readable', () => this.#wake?.());
    socket.on('end', over);
    socket.on('close', () => over());
    socket.on('error', over);
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

  /** Fills `bytes`. @throws Disconnected */
  async into(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const available = Math.min(this.#socket.readableLength, bytes.length - done);
      const chunk = available > 0 ? (this.#socket.read(available) as Buffer | null) : null;
      if (chunk) {
        bytes.set(chunk, done);
        done += chunk.length;
      } else {
        if (this.#error) throw this.#error;
        await this.#more();
      }
    }
  }

  /** Reads past bytes that nobody wants. @throws Disconnected */
  async skip(length: number): Promise<void> {
    const bytes = Buffer.allocUnsafe(Math.min(length, 1 << 16));
    for (let left = length; left > 0; left -= Math.min(left, bytes.length))
      await this.into(bytes.subarray(0, Math.min(left, bytes.length)));
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
