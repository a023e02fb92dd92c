import { once } from 'node:events';
import { createServer, type Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { rangeError } from '../../base/bytes.js';
import { type Clock, systemClock } from '../../base/clock.js';
import { LimitedLog } from '../../base/limited-log.js';
import { maxPayload } from '../protocol.js';
import { type Address, addressOf } from './address.js';
import { Budget } from './budget.js';
import { BufferPool } from './buffer-pool.js';
import { Connection } from './connection.js';
import type { Export } from './export.js';
import { type ListenOn, listen } from './listen.js';
import type { Resources } from './resources.js';
import type { TlsUpgrade } from './tls-upgrade.js';

/** Milliseconds without progress after which a client gives way to a new one; and that requests in flight have when the server ends. */
const patience = 10_000;
const drainTime = 20_000;

/** A connection's part of the memory: by default 4 MiB, which processors' caches hold and which fill any socket. */
const shares = 16;
/** Bytes of its own that each connection has beside it: sixteen requests of 4 KiB. */
const reserve = 64 << 10;

export interface NbdServerOptions {
  exports: readonly Export[];
  /** Without it there is none; `required`: nothing is answered without it. */
  tls?: { upgrade: TlsUpgrade; required: boolean };
  /** Clients at a time; at the limit one that is idle gives way to a new one. Default 256. */
  maxClients?: number;
  /** Bytes of all requests that are being received or answered, beside 64 KiB of each client's own: 32 MiB or more. Default 64 MiB. */
  memory?: number;
  /** Hears what the server's owner should know: reads that failed, clients that were cut off. */
  log?: (line: string) => void;
  clock?: Clock;
}

/** Serves exports over NBD: fixed newstyle negotiation, on any number of sockets. Source: doc/proto.md of NetworkBlockDevice/nbd. */
export class NbdServer {
  readonly #exports: ReadonlyMap<string, Export>;
  readonly #options: NbdServerOptions;
  readonly #resources: Resources;
  readonly #maxClients: number;
  readonly #listeners: NetServer[] = [];
  /** The oldest first. */
  readonly #connections = new Map<Connection, Promise<void>>();

  /** @throws RangeError for too little memory, or two exports of one name */
  constructor(options: NbdServerOptions) {
    const { exports, maxClients = 256, memory = 64 << 20, log = () => {}, clock = systemClock } = options;
    if (memory < maxPayload) throw rangeError(`memory: expected ${maxPayload} bytes or more, got ${memory}`);
    this.#exports = new Map(exports.map((each) => [each.name, each]));
    if (this.#exports.size < exports.length) throw rangeError('exports: expected a name of its own for each');
    this.#options = options;
    this.#maxClients = maxClients;
    const limited = new LimitedLog(log, clock);
    this.#resources = {
      budget: new Budget({ reserve, total: memory, share: memory / shares }),
      clock,
      buffers: new BufferPool(memory),
      log: (line) => limited.line(line),
    };
  }

  /** Bytes of requests in flight, and of the buffers that are kept for them. */
  get memoryUsage(): { inFlight: number; buffers: number } {
    return { inFlight: this.#resources.budget.used, buffers: this.#resources.buffers.bytes };
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Takes clients from now on; it may be called for several places. @see listen */
  async listen(on: ListenOn): Promise<Address> {
    const listener = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true },
      (socket) => void this.serve(socket),
    );
    await listen(listener, on);
    listener.on('error', (error) => this.#resources.log(error.message));
    this.#listeners.push(listener);
    return addressOf(listener.address(), 'fd' in on ? on.fd : undefined);
  }

  /** Takes a client that is connected, until it is gone. Where there are too many, another one gives way, or the new one is refused. */
  async serve(socket: Duplex): Promise<void> {
    if (this.#connections.size >= this.#maxClients && !this.#makeRoom()) {
      this.#resources.log(`a new client was refused: all ${this.#maxClients} clients (--max-clients) are being served`);
      socket.destroy();
      return;
    }
    const { tls } = this.#options;
    const connection = new Connection(socket, { exports: this.#exports, ...(tls && { tls }) }, this.#resources);
    const over = connection.run().finally(() => this.#connections.delete(connection));
    this.#connections.set(connection, over);
    await over;
  }

  /** Ends the oldest connection without an export; else the one that has been idle for longest; else one that has stalled for too long. */
  #makeRoom(): boolean {
    const all = [...this.#connections.keys()].filter(({ isOver }) => !isOver);
    const now = this.#resources.clock.now();
    const negotiating = all.find(({ session }) => !session);
    const idle = longest(all, ({ session }) => session?.idleSince);
    const stalled = longest(all, ({ session }) => session?.stalledSince);
    const late = stalled && stalled.since <= now - patience ? stalled : undefined;
    const chosen = negotiating ?? (idle ?? late)?.connection;
    if (!chosen) return false;
    const what = idle ? 'that was idle' : `that stalled (${chosen.session?.slowness})`;
    if (!negotiating)
      this.#resources.log(`a client ${what} gave way to a new one: --max-clients is ${this.#maxClients}`);
    chosen.destroy();
    return true;
  }

  /** Takes no more clients and requests, and answers those that are in flight. Clients that do not take their answers are cut off. */
  async close(): Promise<void> {
    const closed = this.#listeners.splice(0).map((listener) => once(listener.close(), 'close'));
    for (const connection of this.#connections.keys()) connection.drain();
    const { clock } = this.#resources;
    const cancel = clock.after(drainTime, () => {
      for (const connection of this.#connections.keys()) connection.destroy();
    });
    await Promise.all([...this.#connections.values(), ...closed]);
    cancel();
  }
}

/** The connection whose time, where it has one, is the earliest. */
function longest(
  connections: readonly Connection[],
  time: (connection: Connection) => number | undefined,
): { connection: Connection; since: number } | undefined {
  let first: { connection: Connection; since: number } | undefined;
  for (const connection of connections) {
    const since = time(connection);
    if (since !== undefined && (!first || since < first.since)) first = { connection, since };
  }
  return first;
}
