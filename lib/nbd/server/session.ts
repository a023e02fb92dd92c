import type { Duplex } from 'node:stream';
import { Disconnected, type Inbound } from '../inbound.js';
import { Command, CommandFlag, requestBytes } from '../protocol.js';
import type { Agreement } from './agreement.js';
import { backingFailure } from './backing-failure.js';
import type { Account } from './budget.js';
import { bufferBytes } from './buffer-pool.js';
import type { Backing, Extent } from './export.js';
import { allocationContext } from './meta-context.js';
import { Outbound } from './outbound.js';
import { MidReplyError, type Piecewise, readInPieces, writeInPieces } from './piecewise.js';
import { ReplyEncoder } from './reply.js';
import { parseRequest, payloadLength, type Refusal, type Request, refusal } from './request.js';
import type { Resources } from './resources.js';
import { wholeBlocks, writeZeroes, zeroesAtOnce } from './zeroes.js';

/** Requests of a connection that are not answered yet, before no more are read. The kernel's client has 128 at most. */
const mostInFlight = 128;

/** Bytes of a request's data that count as progress. */
const progressBytes = 16 << 10;

/**
 * The transmission phase of a connection. Requests are answered as their export finishes them, in any order; no more are read while the
 * connection has as many in flight as it may, or no bytes of the budget. One for which there are none even when it is alone goes piece by piece
 * through the connection's own bytes.
 */
export class Session {
  readonly #socket: Duplex;
  readonly #inbound: Inbound;
  readonly #agreement: Agreement;
  readonly #resources: Resources;
  readonly #account: Account;
  readonly #replies: ReplyEncoder;
  readonly #outbound: Outbound;
  #draining = false;
  #inFlight = 0;
  /** Who waits for a request to be over. */
  #wake: (() => void) | undefined;
  /** When the client took replies last. */
  #tookAt = 0;
  /** The data of a request that are coming: bytes in all and so far, and when the client had sent a part of them last. */
  #payload: { total: number; received: number; since: number } | undefined;
  /** Since when no request has been in flight. */
  #idleSince: number;

  constructor(socket: Duplex, inbound: Inbound, agreement: Agreement, resources: Resources) {
    this.#socket = socket;
    this.#inbound = inbound;
    this.#agreement = agreement;
    this.#resources = resources;
    this.#replies = new ReplyEncoder(agreement.structured);
    this.#idleSince = this.#now();
    this.#outbound = new Outbound(socket, () => {
      this.#tookAt = this.#now();
    });
    this.#account = resources.budget.open();
  }

  /** Since when there has been nothing to do for this client, by the server's clock; undefined while there is. */
  get idleSince(): number | undefined {
    return this.#inFlight === 0 ? this.#idleSince : undefined;
  }

  /** Since when the client has neither sent nor taken enough of what is in flight; undefined while that is the server's turn. */
  get stalledSince(): number | undefined {
    const took = this.#outbound.unsent > 0 ? this.#tookAt : Number.POSITIVE_INFINITY;
    const since = Math.min(took, this.#payload?.since ?? Number.POSITIVE_INFINITY);
    return since === Number.POSITIVE_INFINITY ? undefined : since;
  }

  /**
   * Serves requests until the client says that it was the last, or goes, or `drain`; and until they have been answered.
   * @throws ProtocolError when the client does not speak the protocol
   */
  async run(): Promise<void> {
    const header = Buffer.alloc(requestBytes);
    try {
      while (!this.#draining && !(await this.#inbound.ended())) {
        await this.#inbound.into(header);
        const request = parseRequest(header);
        if (request.command === Command.disconnect) break;
        await this.#accept(request);
      }
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error;
    } finally {
      while (this.#inFlight > 0) await this.#over();
    }
  }

  /** Takes no more requests; those that are in flight are answered. */
  drain(): void {
    this.#draining = true;
    this.#inbound.stop();
  }

  /** Receives a request's data, once there is room for it, and has it answered. @throws Disconnected in the middle of the data */
  async #accept(request: Request): Promise<void> {
    const wrong = refusal(request, this.#agreement);
    while (this.#inFlight === mostInFlight) await this.#over();
    const needed = wrong ? 0 : memoryOf(request);
    const cost = bufferBytes(needed);
    this.#inFlight++;
    while (!this.#account.take(cost)) {
      if (this.#inFlight === 1) return await this.#acceptInPieces(request);
      await this.#over();
    }
    // It may have gone meanwhile; what it asked for is not worth the work.
    if (this.#socket.destroyed) return this.#release(cost, undefined);
    const buffer =
      needed > 0 && request.command !== Command.writeZeroes ? this.#resources.buffers.take(needed) : undefined;
    try {
      const bytes = await this.#receive(request, wrong, buffer);
      void this.#answer(request, wrong ?? (() => this.#perform(request, bytes))).then((reply) =>
        this.#outbound.send(reply, () => this.#release(cost, buffer)),
      );
    } catch (error) {
      this.#release(cost, buffer);
      throw error;
    }
  }

  /** Serves a request with no more than the connection's own bytes, and lets nothing else happen meanwhile. @throws Disconnected, MidReplyError */
  async #acceptInPieces(request: Request): Promise<void> {
    const { command, offset, length, flags } = request;
    const { backing } = this.#agreement.export;
    const bytes = this.#resources.budget.options.reserve;
    this.#account.take(bytes);
    const buffer = this.#resources.buffers.take(bytes);
    const send = async (parts: readonly Uint8Array[]) => {
      await new Promise<void>((resolve) => this.#outbound.send(parts, resolve));
      if (this.#socket.destroyed) throw new Disconnected('the connection was closed in the middle of a reply');
    };
    const work: Piecewise = { request, backing, buffer, send };
    try {
      const reply = await this.#answer(request, async () => {
        if (command === Command.read) return await readInPieces(work, this.#replies);
        if (command === Command.write) {
          this.#payload = { total: length, received: 0, since: this.#now() };
          await writeInPieces(work, (piece) => this.#inbound.into(piece, this.#onPayload));
          this.#payload = undefined;
        } else await this.#zero(offset, length, flags, bytes);
        return [this.#replies.done(request)];
      });
      await send(reply);
    } finally {
      this.#release(bytes, buffer);
    }
  }

  /** The buffer, as long as the request's data; of a write with the data in it. What is refused is read past. */
  async #receive(request: Request, wrong: Refusal | undefined, buffer: Buffer = none): Promise<Buffer> {
    const payload = payloadLength(request);
    const bytes = buffer.subarray(0, request.length);
    if (payload === 0) return bytes;
    this.#payload = { total: payload, received: 0, since: this.#now() };
    await (wrong ? this.#inbound.skip(payload, this.#onPayload) : this.#inbound.into(bytes, this.#onPayload));
    this.#payload = undefined;
    return bytes;
  }

  readonly #onPayload = (length: number): void => {
    const payload = this.#payload!;
    const before = Math.floor(payload.received / progressBytes);
    payload.received += length;
    if (Math.floor(payload.received / progressBytes) > before) payload.since = this.#now();
  };

  /** What is to be sent, once the export has done what was asked. @throws Disconnected, MidReplyError */
  async #answer(request: Request, work: Refusal | (() => Promise<Uint8Array[]>)): Promise<Uint8Array[]> {
    if (typeof work === 'object') return [this.#replies.failed(request, work)];
    try {
      return await work();
    } catch (error) {
      if (error instanceof Disconnected || error instanceof MidReplyError) throw error;
      this.#resources.log(`${this.#name()}: ${error instanceof Error ? error.message : error}`);
      return [this.#replies.failed(request, backingFailure(error, request))];
    }
  }

  async #perform(request: Request, bytes: Buffer): Promise<Uint8Array[]> {
    const { command, offset, length } = request;
    const { backing } = this.#agreement.export;
    const fua = (request.flags & CommandFlag.fua) !== 0;
    switch (command) {
      case Command.read:
        await backing.read(offset, bytes);
        return [this.#replies.data(request), bytes];
      case Command.write:
        await backing.write(offset, bytes, { fua });
        break;
      case Command.flush:
        await backing.flush();
        break;
      case Command.trim: {
        // It is a hint: what is no whole block stays.
        const blocks = wholeBlocks(backing, offset, length);
        if (blocks.length > 0) await backing.discard(blocks.offset, blocks.length);
        if (fua) await backing.flush();
        break;
      }
      case Command.writeZeroes:
        await this.#zero(offset, length, request.flags, zeroesAtOnce);
        break;
      case Command.blockStatus:
        return [this.#replies.allocation(request, allocationContext.id, someExtents(backing, request))];
    }
    return [this.#replies.done(request)];
  }

  async #zero(offset: number, length: number, flags: number, atOnce: number): Promise<void> {
    const { backing } = this.#agreement.export;
    await writeZeroes(backing, offset, length, { punch: (flags & CommandFlag.noHole) === 0, atOnce });
    if (flags & CommandFlag.fua) await backing.flush();
  }

  #release(cost: number, buffer: Buffer | undefined): void {
    if (buffer) this.#resources.buffers.give(buffer);
    this.#account.give(cost);
    if (--this.#inFlight === 0) this.#idleSince = this.#now();
    this.#wake?.();
  }

  /** Some request is over. */
  #over(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  /** What its client is slow with, for the log. */
  get slowness(): string {
    const now = this.#now();
    const seconds = (since: number) => `${((now - since) / 1000).toFixed(0)} s`;
    const payload = this.#payload;
    if (payload && !(this.#outbound.unsent > 0 && this.#tookAt < payload.since))
      return `of ${payload.total} bytes to write it has sent ${payload.received}, and next to nothing for ${seconds(payload.since)}`;
    return `it has not read replies for ${seconds(this.#tookAt)}, ${this.#outbound.unsent} bytes wait`;
  }

  #now(): number {
    return this.#resources.clock.now();
  }

  #name(): string {
    return `export '${this.#agreement.export.name}'`;
  }
}

const none = Buffer.alloc(0);

/** Extents of one answer. A client asks on from where they end. */
const mostExtents = 128;

/** The first extents of a request's bytes: only one where the client wants no more. */
function someExtents(backing: Backing, { flags, offset, length }: Request): Extent[] {
  const most = flags & CommandFlag.reqOne ? 1 : mostExtents;
  const extents = [];
  for (const extent of backing.extents(offset, length)) {
    extents.push(extent);
    if (extents.length === most) break;
  }
  return extents;
}

/** Bytes that a request holds until it has been answered. */
function memoryOf({ command, length }: Request): number {
  if (command === Command.read || command === Command.write) return length;
  // A target that ciphers has them once more.
  return command === Command.writeZeroes ? Math.min(length, zeroesAtOnce) : 0;
}
