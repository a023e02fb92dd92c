import type { Duplex } from 'node:stream';
import { Disconnected, type Inbound } from '../inbound.js';
import { Negotiation, type NegotiationOptions } from './negotiation.js';
import type { Resources } from './resources.js';
import { Session } from './session.js';

/** Milliseconds until a client has to have an export; and that it has to read what was said last. */
const handshakeTime = 10_000;
const lingerTime = 5_000;

/** A client, from its greeting to its end. */
export class Connection {
  readonly #socket: Duplex;
  readonly #options: NegotiationOptions;
  readonly #resources: Resources;
  /** Undefined until the client has an export. */
  session: Session | undefined;

  constructor(socket: Duplex, options: NegotiationOptions, resources: Resources) {
    this.#socket = socket;
    this.#options = options;
    this.#resources = resources;
    // Who reads from it will see that it is over.
    socket.on('error', () => {});
  }

  get isOver(): boolean {
    return this.#socket.destroyed;
  }

  /** Resolves when the connection is closed. Never rejects: what a client does wrong ends its connection. */
  async run(): Promise<void> {
    const { clock, log } = this.#resources;
    const cancel = clock.after(handshakeTime, () => this.destroy());
    try {
      const negotiated = await new Negotiation(this.#socket, this.#options).run();
      cancel();
      if (!negotiated) return await this.#hangUp(this.#socket);
      const { socket, inbound, agreement } = negotiated;
      this.session = new Session(socket, inbound, agreement, this.#resources);
      await this.session.run();
      await this.#hangUp(socket, inbound);
    } catch (error) {
      if (!(error instanceof Disconnected)) log(`a client was cut off: ${(error as Error).message}`);
    } finally {
      cancel();
      this.destroy();
    }
  }

  /** Lets requests in flight be answered, and ends. A client that has no export yet is cut off. */
  drain(): void {
    if (this.session) this.session.drain();
    else this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Says that there is no more, and waits until the client has understood: closed at once, the last replies might be lost to it. */
  async #hangUp(socket: Duplex, inbound?: Inbound): Promise<void> {
    if (socket.destroyed) return;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    inbound?.release();
    socket.end();
    socket.resume();
    const cancel = this.#resources.clock.after(lingerTime, () => this.destroy());
    await closed;
    cancel();
  }
}
