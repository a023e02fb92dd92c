import type { Duplex } from 'node:stream';

/**
 * Bytes that go out with one system call: a reply of 256 KiB, which is what copying clients ask for, and its head. A client that takes so many has
 * made progress; smaller pieces cost more system calls.
 */
const pieceBytes = 288 << 10;

interface Part {
  bytes: Uint8Array;
  /** Called when all up to here has gone out, or never will. */
  done: (() => void) | undefined;
}

/**
 * What goes out on a socket: replies that are ready in one turn of the loop are gathered in one writev. Longer ones go piece by piece, so that it
 * can be told a slow client from one that takes nothing.
 */
export class Outbound {
  readonly #socket: Duplex;
  readonly #onProgress: () => void;
  readonly #queue: Part[] = [];
  #isBusy = false;
  /** Bytes that the socket has not taken yet. */
  unsent = 0;

  /** `onProgress` is called when the client has taken something, or something is sent after nothing was. */
  constructor(socket: Duplex, onProgress: () => void) {
    this.#socket = socket;
    this.#onProgress = onProgress;
  }

  /** Sends a reply. The bytes stay as they are until `done` is called, which happens where the client has gone, too. */
  send(reply: readonly Uint8Array[], done: () => void): void {
    if (this.unsent === 0) this.#onProgress();
    for (const [index, bytes] of reply.entries()) {
      this.unsent += bytes.length;
      this.#queue.push({ bytes, done: index === reply.length - 1 ? done : undefined });
    }
    if (this.#isBusy) return;
    this.#isBusy = true;
    setImmediate(() => this.#write());
  }

  #write(): void {
    const done: (() => void)[] = [];
    let length = 0;
    this.#socket.cork();
    const sent = (error?: Error | null) => this.#sent(length, done, error);
    while (length < pieceBytes && this.#queue.length > 0) {
      const part = this.#queue[0]!;
      const room = pieceBytes - length;
      const bytes = part.bytes.length > room ? part.bytes.subarray(0, room) : part.bytes;
      length += bytes.length;
      if (bytes === part.bytes) {
        this.#queue.shift();
        if (part.done) done.push(part.done);
      } else part.bytes = part.bytes.subarray(room);
      if (length === pieceBytes || this.#queue.length === 0) this.#socket.write(bytes, sent);
      else this.#socket.write(bytes);
    }
    this.#socket.uncork();
  }

  #sent(length: number, done: (() => void)[], error: Error | null | undefined): void {
    this.unsent -= length;
    if (error) {
      for (const part of this.#queue.splice(0)) if (part.done) done.push(part.done);
      this.unsent = 0;
    }
    this.#onProgress();
    if (this.#queue.length > 0) this.#write();
    else this.#isBusy = false;
    for (const call of done) call();
  }
}
