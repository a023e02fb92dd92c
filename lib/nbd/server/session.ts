import type { Socket } from 'node:net';
import { Disconnected, type Inbound } from '../inbound.js';
import { Command, CommandFlag, requestBytes } from '../protocol.js';
import type { Agreement } from './agreement.js';
import { backingFailure } from './backing-failure.js';
import type { Account } from './budget.js';
import { bufferBytes } from './buffer-pool.js';
import type { Backing, Extent } from './export.js';
import { allocationContext } from './meta-context.js';
import { ReplyEncoder } from './reply.js';
import { parseRequest, payloadLength, type Refusal, type Request, refusal } from './request.js';
import type { Resources } from './resources.js';
import { wholeBlocks, writeZeroes, zeroesAtOnce } from './zeroes.js';

/** Requests of a connection that are not answered yet, before no more are read. The kernel's client has 128 at most. */
const mostInFlight = 128;

/**
 * The transmission phase of a connection. Requests are answered as their export finishes them, in any order; no more are read while the
 * connection has as many in flight as it may, or no bytes of the budget.
 */
export class Session {
  readonly #socket: Socket;
  readonly #inbound: Inbound;
  readonly #agreement: Agreement;
  readonly #resources: Resources;
  readonly #account: Account;
  readonly #replies: ReplyEncoder;
  #draining = false;
  #inFlight = 0;
  /** Who waits for a request to be over. */
  #wake: (() => void) | undefined;
  #corked = false;
  /** Replies that the socket has not taken yet, and since when it has taken none. */
  #unsent = 0;
  #unsentSince = 0;
  /** Since when the data of a request has been coming. */
  #payloadSince: number | undefined;

  constructor(socket: Socket, inbound: Inbound, agreement: Agreement, resources: Resources) {
    this.#socket = socket;
    this.#inbound = inbound;
    this.#agreement = agreement;
    this.#resources = resources;
    this.#replies = new ReplyEncoder(agreement.structured);
    this.#account = resources.budget.open({
      stalledSince: () => this.#stalledSince(),
      evict: () => {
        resources.log(`${this.#name()}: a client that does not read its replies, or send its data, was cut off`);
        socket.destroy();
      },
    });
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
      this.#account.close();
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
    await this.#account.take(cost);
    if (this.#socket.destroyed) {
      // It has gone while it waited, and what it asked for is not worth the work.
      this.#account.give(cost);
      return;
    }
    const buffer =
      needed > 0 && request.command !== Command.writeZeroes ? this.#resources.buffers.take(needed) : undefined;
    this.#inFlight++;
    try {
      const bytes = await this.#receive(request, wrong, buffer);
      void this.#answer(request, wrong, bytes).then((reply) => this.#send(reply, cost, buffer));
    } catch (error) {
      this.#release(cost, buffer);
      throw error;
    }
  }

  /** The buffer, as long as the request's data; of a write with the data in it. What is refused is read past. */
  async #receive(request: Request, wrong: Refusal | undefined, buffer: Buffer = none): Promise<Buffer> {
    const payload = payloadLength(request);
    const bytes = buffer.subarray(0, request.length);
    if (payload === 0) return bytes;
    this.#payloadSince = this.#now();
    await (wrong ? this.#inbound.skip(payload) : this.#inbound.into(bytes));
    this.#payloadSince = undefined;
    return bytes;
  }

  /** What is to be sent, once the export has done what was asked. */
  async #answer(request: Request, wrong: Refusal | undefined, bytes: Buffer): Promise<Buffer[]> {
    if (wrong) return [this.#replies.failed(request, wrong)];
    try {
      return await this.#perform(request, bytes);
    } catch (error) {
      this.#resources.log(`${this.#name()}: ${error instanceof Error ? error.message : error}`);
      return [this.#replies.failed(request, backingFailure(error, request))];
    }
  }

  async #perform(request: Request, bytes: Buffer): Promise<Buffer[]> {
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
        await writeZeroes(backing, offset, length, (request.flags & CommandFlag.noHole) === 0);
        if (fua) await backing.flush();
        break;
      case Command.blockStatus:
        return [this.#replies.allocation(request, allocationContext.id, someExtents(backing, request))];
    }
    return [this.#replies.done(request)];
  }

  /** Replies that are ready in one turn of the loop go out with one system call. */
  #send(reply: Buffer[], cost: number, buffer: Buffer | undefined): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    if (this.#unsent++ === 0) this.#unsentSince = this.#now();
    const last = reply.length - 1;
    for (let index = 0; index < last; index++) this.#socket.write(reply[index]!);
    // Where the client has gone it is called, too.
    this.#socket.write(reply[last]!, () => {
      this.#unsent--;
      this.#unsentSince = this.#now();
      this.#release(cost, buffer);
    });
  }

  #release(cost: number, buffer: Buffer | undefined): void {
    if (buffer) this.#resources.buffers.give(buffer);
    this.#account.give(cost);
    this.#inFlight--;
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

  #stalledSince(): number | undefined {
    const unsent = this.#unsent > 0 ? this.#unsentSince : Number.POSITIVE_INFINITY;
    const since = Math.min(unsent, this.#payloadSince ?? Number.POSITIVE_INFINITY);
    return since === Number.POSITIVE_INFINITY ? undefined : since;
  }

  #now(): number {
    return this.#resources.budget.options.clock.now();
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
