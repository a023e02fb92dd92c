import { type Clock, systemClock } from '../../base/clock.js';
import { debug } from '../../base/observe.js';
import { Command, CommandFlag } from '../protocol.js';
import { formatNbdUri, type NbdUri } from '../uri.js';
import { Connection } from './connection.js';
import { dial } from './dial.js';
import { NbdError } from './error.js';
import type { ExportInfo } from './handshake.js';
import { NbdRequest, type NbdRequestFields } from './request.js';

/** What there is to say after a connection broke and there is one again. */
export interface Reconnection {
  uri: string;
  /** Why the one before broke. */
  cause: Error;
  /** Bytes of writes that had been answered on broken connections and not flushed: lost, if the server lost its memory. */
  unflushed: number;
}

export interface NbdClientOptions {
  /** Milliseconds for a connection and its negotiation. Default 10 000. */
  connectTimeout?: number;
  /**
   * Milliseconds for the answer to a request, before the connection counts as broken. Default 30 000. It should be longer than anything the
   * server may take: a write that it still holds could otherwise come after later ones.
   */
  requestTimeout?: number;
  /** Milliseconds that a request waits for a connection that carries it, from when it first had none; then it fails. 0 is never to reconnect. Default 30 000. */
  reconnectTimeout?: number;
  onReconnect?: (event: Reconnection) => void;
  clock?: Clock;
}

/** Milliseconds before the second attempt to connect, twice as many before each further one up to the most. */
const firstPause = 100;
const longestPause = 5000;

/**
 * An export of an NBD server, over one connection at a time. When that breaks, the requests without an answer are sent again on the next one,
 * provided that the export is the same: reads, writes, flushes and trims may be repeated. What a broken connection's server had answered and
 * not flushed is not sent again: `onReconnect` tells of it. A server that breaks the protocol is not asked again for the same.
 */
export class NbdClient {
  readonly #options: Required<Omit<NbdClientOptions, 'onReconnect'>> & NbdClientOptions;
  readonly #closing = new AbortController();
  #connection: Connection | undefined;
  /** Requests without a connection, in the order in which they came. */
  #waiting: NbdRequest[] = [];
  #isConnecting = false;
  #pause = 0;
  /** Why the last connection broke; and why there is none, which may be another reason. */
  #broke: NbdError | undefined;
  #cause: NbdError | undefined;
  #wakeUp: (() => void) | undefined;
  /** Bytes that have been written, and how many of them a flush covers. */
  #written = 0;
  #stable = 0;

  private constructor(
    readonly uri: NbdUri,
    readonly info: ExportInfo,
    options: NbdClientOptions,
  ) {
    this.#options = { ...defaults, ...options };
  }

  /** Connects once; a server that is not there is no reason to wait. @throws NbdError */
  static async open(uri: NbdUri, options: NbdClientOptions = {}): Promise<NbdClient> {
    const { clock, connectTimeout } = { ...defaults, ...options };
    const { line, info } = await dial(uri, { clock, connectTimeout });
    const client = new NbdClient(uri, info, options);
    client.#connection = client.#keep(line, info);
    return client;
  }

  /** Requests on their way; undefined while there is no connection. */
  get inFlight(): number | undefined {
    return this.#connection?.inFlight;
  }
  /** Requests that wait for a connection. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Sends a request; `done` is called once, now or later. */
  submit(fields: NbdRequestFields, done: (error: NbdError | null) => void): void {
    const flushed = this.#written;
    const request = new NbdRequest(fields, (error) => {
      if (!error) this.#account(request, flushed);
      done(error);
    });
    if (this.#connection) this.#connection.send(request);
    else this.#wait([request]);
  }

  /** Ends the connection. What is in flight is not answered any more. */
  close(): void {
    this.#closing.abort();
    this.#wakeUp?.();
    this.#connection?.close();
    this.#connection = undefined;
    this.#fail(new NbdError('ENXIO', 'the device is closed'));
  }

  /** Keeps account of what has been written, and what of it is stable. */
  #account({ command, flags, length }: NbdRequest, flushed: number): void {
    if (command === Command.flush) this.#stable = Math.max(this.#stable, flushed);
    else if (command === Command.write && !(flags & CommandFlag.fua)) this.#written += length;
  }

  #keep(line: ConstructorParameters<typeof Connection>[0], info: ExportInfo): Connection {
    const { clock, requestTimeout } = this.#options;
    const onReply = () => {
      this.#pause = 0;
    };
    const onLost = (cause: NbdError, unanswered: NbdRequest[]) => {
      debug(
        () => `nbd: ${formatNbdUri(this.uri)}: lost, ${unanswered.length} requests without an answer: ${cause.message}`,
      );
      this.#connection = undefined;
      this.#broke = cause;
      this.#cause = cause;
      if (cause.code !== 'EPROTO') this.#wait(unanswered);
      else for (const request of unanswered) request.done(cause);
    };
    return new Connection(line, info, { clock, requestTimeout, onReply, onLost });
  }

  #wait(requests: readonly NbdRequest[]): void {
    const now = this.#options.clock.now();
    for (const request of requests) request.troubledSince ??= now;
    this.#waiting.push(...requests);
    if (this.#closing.signal.aborted) this.#fail(new NbdError('ENXIO', 'the device is closed'));
    else if (!this.#isConnecting) void this.#reconnect();
  }

  /** Connects until nobody waits any more. */
  async #reconnect(): Promise<void> {
    this.#isConnecting = true;
    while (this.#dropLate() > 0 && !this.#connection) {
      const pause = this.#pause;
      this.#pause = Math.min(longestPause, Math.max(firstPause, 2 * pause));
      if (pause > 0) await this.#sleep(pause);
      await this.#attempt();
    }
    this.#isConnecting = false;
  }

  async #attempt(): Promise<void> {
    const { clock, connectTimeout } = this.#options;
    const { signal } = this.#closing;
    const dialled = await dial(this.uri, { clock, connectTimeout, signal }).catch((error: NbdError) => {
      this.#cause = error;
    });
    if (!dialled) return;
    const connection = this.#keep(dialled.line, dialled.info);
    const change = difference(this.info, dialled.info);
    if (change || signal.aborted) {
      connection.close();
      this.#fail(new NbdError('ESTALE', `after a reconnection the export is another: ${change}`));
    } else this.#resume(connection);
  }

  #resume(connection: Connection): void {
    this.#connection = connection;
    const unflushed = this.#written - this.#stable;
    this.#stable = this.#written;
    debug(() => `nbd: ${formatNbdUri(this.uri)}: connected again, ${this.#waiting.length} requests are sent again`);
    for (const request of this.#waiting.splice(0)) connection.send(request);
    this.#options.onReconnect?.({ uri: formatNbdUri(this.uri), cause: this.#broke!, unflushed });
  }

  /** Fails those that have waited for too long. @returns how many wait on */
  #dropLate(): number {
    const { clock, reconnectTimeout } = this.#options;
    const latest = clock.now() - reconnectTimeout;
    const late = this.#waiting.filter(({ troubledSince }) => troubledSince! <= latest);
    this.#waiting = this.#waiting.filter(({ troubledSince }) => troubledSince! > latest);
    const why = `not answered within ${reconnectTimeout} ms of reconnecting; ${this.#cause?.message}`;
    for (const request of late) request.done(new NbdError('ETIMEDOUT', why, { cause: this.#cause }));
    return this.#waiting.length;
  }

  #fail(error: NbdError): void {
    for (const request of this.#waiting.splice(0)) request.done(error);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#options.clock.after(ms, resolve);
      this.#wakeUp = () => {
        stop();
        resolve();
      };
    });
  }
}

const defaults = { connectTimeout: 10_000, requestTimeout: 30_000, reconnectTimeout: 30_000, clock: systemClock };

/** What is not as it was, in words; empty when all is. */
function difference(before: ExportInfo, after: ExportInfo): string {
  const names = ['size', 'flags', 'minBlock', 'maxPayload', 'structured'] as const;
  const changed = names.filter((name) => before[name] !== after[name]);
  return changed.map((name) => `${name} ${before[name]}, now ${after[name]}`).join('; ');
}
