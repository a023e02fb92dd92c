import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.js';
import { Disconnected, type Inbound } from '../inbound.js';
import {
  Command,
  magic,
  maxString,
  NbdErrno,
  ReplyFlag,
  ReplyType,
  requestBytes,
  simpleReplyBytes,
  structuredReplyBytes,
} from '../protocol.js';
import { Coverage } from './coverage.js';
import { NbdError, protocolError } from './error.js';
import { type ExportInfo, type Line, said } from './handshake.js';
import type { NbdRequest } from './request.js';

/** What a connection needs to know from the one who keeps it. */
export interface ConnectionOptions {
  readonly clock: Clock;
  /** Milliseconds that a request is waited for. */
  readonly requestTimeout: number;
  /** A request has been answered: the server lives. */
  onReply(): void;
  /** Called once, unless it has been closed: why there is no connection any more, and what it has left unanswered, the oldest first. */
  onLost(cause: NbdError, unanswered: NbdRequest[]): void;
}

const errorNames = new Map<number, string>(Object.entries(NbdErrno).map(([name, value]) => [value, name]));
/** The errno that bios have for it. */
errorNames.set(NbdErrno.ENOTSUP, 'EOPNOTSUPP');

/**
 * A connection in transmission: any number of requests in flight, found again by their cookies. What is read goes straight from the socket into
 * its request's bytes. It does not keep the process alive while nothing is in flight.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #inbound: Inbound;
  /** In the order in which they were sent. */
  readonly #inFlight = new Map<number, NbdRequest>();
  #cookie = 0;
  #isOver = false;
  #stopTimer: (() => void) | undefined;

  constructor(
    { socket, inbound }: Line,
    readonly info: ExportInfo,
    private readonly options: ConnectionOptions,
  ) {
    this.#socket = socket;
    this.#inbound = inbound;
    socket.unref();
    this.#run();
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Sends a request. Those of one turn of the event loop go out together. */
  send(request: NbdRequest): void {
    const cookie = this.#cookie++;
    this.#inFlight.set(cookie, request);
    request.sentAt = this.options.clock.now();
    request.error = undefined;
    const isChunked = request.command === Command.read && this.info.structured;
    request.coverage = isChunked ? new Coverage(request.length) : undefined;
    if (this.#inFlight.size === 1) {
      this.#socket.ref();
      this.#watch(this.options.requestTimeout);
    }
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#socket.write(header(request, cookie));
    if (request.command === Command.write) this.#socket.write(request.bytes);
  }

  /** Says goodbye. Nobody hears of what is in flight any more. */
  close(): void {
    if (this.#isOver) return;
    this.#end();
    this.#socket.end(header({ command: Command.disconnect, flags: 0, offset: 0, length: 0 }, 0));
    this.#socket.destroySoon();
  }

  #end(): NbdRequest[] {
    this.#isOver = true;
    this.#stopTimer?.();
    const unanswered = [...this.#inFlight.values()];
    this.#inFlight.clear();
    this.#socket.unref();
    return unanswered;
  }

  #lose(cause: NbdError): void {
    if (this.#isOver) return;
    const unanswered = this.#end();
    this.#socket.destroy();
    this.options.onLost(cause, unanswered);
  }

  /** Gives the oldest request that is in flight its time. */
  #watch(ms: number): void {
    this.#stopTimer = this.options.clock.after(ms, () => {
      const [oldest] = this.#inFlight.values();
      const { clock, requestTimeout } = this.options;
      const left = oldest!.sentAt + requestTimeout - clock.now();
      if (left > 0) this.#watch(left);
      else this.#lose(new NbdError('ETIMEDOUT', `the server has not answered for ${requestTimeout} ms`));
    });
  }

  async #run(): Promise<void> {
    try {
      const head = Buffer.alloc(structuredReplyBytes);
      const rest = head.subarray(simpleReplyBytes);
      for (;;) {
        await this.#inbound.into(head.subarray(0, simpleReplyBytes));
        const cookie = head.readUInt32BE(8) * 2 ** 32 + head.readUInt32BE(12);
        const request = this.#inFlight.get(cookie);
        const kind = head.readUInt32BE(0);
        if (kind !== magic.simpleReply && kind !== magic.structuredReply)
          throw protocolError(`a reply begins with 0x${kind.toString(16)}`);
        if (!request) throw protocolError('it answers what was not asked');
        if (kind === magic.simpleReply) {
          const error = await this.#readSimple(request, head.readUInt32BE(4));
          this.#finish(cookie, request, error);
        } else {
          await this.#inbound.into(rest);
          const isLast = (head.readUInt16BE(4) & ReplyFlag.done) !== 0;
          await this.#readChunk(request, isLast, head.readUInt16BE(6), head.readUInt32BE(16));
          if (isLast) this.#finish(cookie, request, outcome(request));
        }
      }
    } catch (cause) {
      if (cause instanceof NbdError) this.#lose(cause);
      else if (cause instanceof Disconnected) this.#lose(new NbdError('ENOTCONN', cause.message, { cause }));
      // What a request's submitter throws when it is done is his.
      else throw cause;
    }
  }

  #finish(cookie: number, request: NbdRequest, error: NbdError | null): void {
    // A server that goes away has not done it: another one may.
    if (error?.code === 'ESHUTDOWN') throw error;
    if (!this.#inFlight.delete(cookie)) return;
    if (this.#inFlight.size === 0) {
      this.#stopTimer?.();
      this.#socket.unref();
    }
    this.options.onReply();
    request.done(error);
  }

  async #readSimple(request: NbdRequest, error: number): Promise<NbdError | null> {
    if (request.coverage) throw protocolError('a simple reply to a read, where structured ones were agreed on');
    if (error) return new NbdError(nameOf(error), 'the server has answered with this error');
    if (request.command === Command.read) await this.#inbound.into(request.bytes);
    return null;
  }

  async #readChunk(request: NbdRequest, isLast: boolean, type: number, length: number): Promise<void> {
    if (!this.info.structured) throw protocolError('a structured reply, which was not agreed on');
    if (type & 0x8000) return this.#readError(request, type, length);
    if (type === ReplyType.none && length === 0 && isLast) return;
    const { coverage, bytes, offset } = request;
    if (type === ReplyType.offsetData && coverage && length > 8) {
      const from = Number((await this.#inbound.take(8)).readBigUInt64BE()) - offset;
      const to = from + length - 8;
      coverage.add(from, to);
      await this.#inbound.into(bytes.subarray(from, to));
    } else if (type === ReplyType.offsetHole && coverage && length === 12) {
      const hole = await this.#inbound.take(12);
      const from = Number(hole.readBigUInt64BE()) - offset;
      const to = from + hole.readUInt32BE(8);
      coverage.add(from, to);
      bytes.fill(0, from, to);
    } else
      throw protocolError(`a chunk of type ${type} and ${length} bytes in the reply to command ${request.command}`);
  }

  async #readError(request: NbdRequest, type: number, length: number): Promise<void> {
    const tail = type === ReplyType.errorOffset ? 8 : 0;
    if (length < 6 + tail || length > 6 + maxString + tail) throw protocolError(`an error of ${length} bytes`);
    const data = await this.#inbound.take(length);
    const end = 6 + data.readUInt16BE(4);
    if (end + tail > length) throw protocolError('an error whose text is longer than itself');
    const code = nameOf(data.readUInt32BE(0));
    const message = `the server has answered with this error${said(data.subarray(6, end))}`;
    request.error ??= { code, message, hasOffset: true };
    if (tail && request.coverage) {
      const at = Number(data.readBigUInt64BE(end)) - request.offset;
      request.coverage.spoil(at);
    } else request.error = { ...request.error, hasOffset: false };
  }
}

/** What has become of a request, all chunks of its reply having come. @throws NbdError when a success leaves bytes of a read unfilled */
function outcome({ error, coverage, length }: NbdRequest): NbdError | null {
  const missing = coverage?.missing() ?? [];
  if (error) return new NbdError(error.code, error.message, error.hasOffset && coverage ? { missing } : {});
  const count = missing.reduce((sum, range) => sum + range.length, 0);
  if (count) throw protocolError(`${count} of the ${length} bytes of a read never came`);
  return null;
}

/** What is not among the protocol's numbers counts as EINVAL (doc/proto.md, error values). */
function nameOf(error: number): string {
  return errorNames.get(error) ?? 'EINVAL';
}

function header(fields: Pick<NbdRequest, 'command' | 'flags' | 'offset' | 'length'>, cookie: number): Buffer {
  const bytes = Buffer.allocUnsafe(requestBytes);
  bytes.writeUInt32BE(magic.request);
  bytes.writeUInt16BE(fields.flags, 4);
  bytes.writeUInt16BE(fields.command, 6);
  writeNumber(bytes, cookie, 8);
  writeNumber(bytes, fields.offset, 16);
  bytes.writeUInt32BE(fields.length, 24);
  return bytes;
}

/** 64 bits of a safe integer, without a bigint on the way. */
function writeNumber(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), at);
  bytes.writeUInt32BE(value % 2 ** 32, at + 4);
}
