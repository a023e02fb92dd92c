import type { Duplex } from 'node:stream';
import { Inbound } from '../inbound.js';
import { HandshakeFlag, Info, magic, maxPayload, Option, OptionReply } from '../protocol.js';
import { type Agreement, transmissionFlags } from './agreement.js';
import type { Export } from './export.js';
import { allocationContext, asksForAllocation } from './meta-context.js';
import { decodeString, OptionData, OptionDataError } from './option-data.js';
import { ProtocolError } from './request.js';
import type { TlsUpgrade } from './tls-upgrade.js';

/** Bytes of an option's data; a name and some queries are far less. */
const longestOption = 1 << 16;
/** Options of one client: enough to ask for a hundred exports one by one. */
const mostOptions = 1000;
/** Bytes that a client does best to ask for at a time. */
const preferredBlock = 4096;

export interface NegotiationOptions {
  exports: ReadonlyMap<string, Export>;
  tls?: { upgrade: TlsUpgrade; required: boolean };
}

/** A connection that can go on to transmission. */
export interface Negotiated {
  agreement: Agreement;
  /** What to talk over: with TLS another one than at first. */
  socket: Duplex;
  inbound: Inbound;
}

/** Fixed newstyle negotiation, the server's part. */
export class Negotiation {
  readonly #options: NegotiationOptions;
  #socket: Duplex;
  #inbound: Inbound;
  #secure = false;
  #structured = false;
  /** The export whose block status the client wants to ask for. */
  #allocationOf: string | undefined;
  #noZeroes = false;

  constructor(socket: Duplex, options: NegotiationOptions) {
    this.#options = options;
    this.#socket = socket;
    this.#inbound = new Inbound(socket);
  }

  /**
   * Greets the client and answers its options until it has an export, or, with undefined, wants none.
   * @throws ProtocolError, Disconnected, or the error of a TLS handshake: there is nothing more to say to this client then
   */
  async run(): Promise<Negotiated | undefined> {
    const greeting = Buffer.alloc(18);
    greeting.writeBigUInt64BE(magic.nbd, 0);
    greeting.writeBigUInt64BE(magic.option, 8);
    greeting.writeUInt16BE(HandshakeFlag.fixedNewstyle | HandshakeFlag.noZeroes, 16);
    this.#socket.write(greeting);
    const flags = (await this.#inbound.take(4)).readUInt32BE();
    if (flags & ~(HandshakeFlag.fixedNewstyle | HandshakeFlag.noZeroes)) throw new ProtocolError('unknown flags');
    this.#noZeroes = (flags & HandshakeFlag.noZeroes) !== 0;
    const isFixed = (flags & HandshakeFlag.fixedNewstyle) !== 0;
    for (let count = 0; count < mostOptions; count++) {
      const head = await this.#inbound.take(16);
      if (head.readBigUInt64BE() !== magic.option)
        throw new ProtocolError('an option does not begin with its magic number');
      const [option, length] = [head.readUInt32BE(8), head.readUInt32BE(12)];
      if (length > longestOption) throw new ProtocolError(`option ${option} has ${length} bytes of data`);
      const data = await this.#inbound.take(length);
      // It has no way to be told of an error.
      if (!isFixed && option !== Option.exportName) throw new ProtocolError(`option ${option} of an old client`);
      if (option === Option.abort) return this.#reply(option, OptionReply.ack);
      const found = await this.#answer(option, data);
      if (this.#socket.writableNeedDrain) await new Promise((resolve) => this.#socket.write('', resolve));
      if (found) return { agreement: this.#agree(found), socket: this.#socket, inbound: this.#inbound };
    }
    throw new ProtocolError(`more than ${mostOptions} options`);
  }

  /** Resolves to the export with which transmission begins, or to undefined as long as there is none. */
  async #answer(option: number, data: Buffer): Promise<Export | undefined> {
    const { tls } = this.#options;
    if (tls?.required && !this.#secure && option !== Option.startTls) {
      if (option === Option.exportName) throw new ProtocolError('it wants an export without TLS');
      return this.#refuse(option, OptionReply.errTlsRequired, 'this server wants TLS first');
    }
    try {
      return await this.#understand(option, data);
    } catch (error) {
      if (!(error instanceof OptionDataError) || option === Option.exportName) throw error;
      return this.#refuse(option, OptionReply.errInvalid, error.message);
    }
  }

  async #understand(option: number, data: Buffer): Promise<Export | undefined> {
    switch (option) {
      case Option.exportName:
        return this.#exportName(decodeString(data));
      case Option.startTls:
        new OptionData(data).end();
        return this.#startTls();
      case Option.list:
        new OptionData(data).end();
        for (const name of this.#options.exports.keys()) this.#reply(option, OptionReply.server, withLength(name));
        return this.#reply(option, OptionReply.ack);
      case Option.info:
      case Option.go:
        return this.#info(option, new OptionData(data));
      case Option.structuredReply:
        new OptionData(data).end();
        this.#structured = true;
        return this.#reply(option, OptionReply.ack);
      case Option.listMetaContext:
      case Option.setMetaContext:
        return this.#metaContext(option, new OptionData(data));
      default:
        return this.#refuse(option, OptionReply.errUnsup, 'this server does not know the option');
    }
  }

  /** For clients that know neither GO nor errors. @throws ProtocolError */
  #exportName(name: string): Export {
    const found = this.#options.exports.get(name);
    if (!found) throw new ProtocolError('no such export');
    const answer = Buffer.alloc(this.#noZeroes ? 10 : 134);
    answer.writeBigUInt64BE(BigInt(found.backing.size), 0);
    answer.writeUInt16BE(this.#flags(found), 8);
    this.#socket.write(answer);
    return found;
  }

  async #startTls(): Promise<undefined> {
    const { tls } = this.#options;
    if (!tls) return this.#refuse(Option.startTls, OptionReply.errPolicy, 'this server has no TLS');
    if (this.#secure) return this.#refuse(Option.startTls, OptionReply.errInvalid, 'TLS has begun already');
    // What came in the clear must not be taken for something that was said under TLS.
    if (this.#socket.readableLength > 0) throw new ProtocolError('data behind STARTTLS');
    this.#inbound.release();
    this.#reply(Option.startTls, OptionReply.ack);
    this.#socket = await tls.upgrade(this.#socket);
    this.#inbound = new Inbound(this.#socket);
    this.#secure = true;
    this.#structured = false;
    this.#allocationOf = undefined;
    return undefined;
  }

  #info(option: number, data: OptionData): Export | undefined {
    const name = data.string();
    const wanted = Array.from({ length: data.u16() }, () => data.u16());
    data.end();
    const found = this.#options.exports.get(name);
    if (!found) return this.#refuse(option, OptionReply.errUnknown, 'no such export');
    const about = (type: number, ...parts: Buffer[]) =>
      this.#reply(option, OptionReply.info, Buffer.concat([u16(type), ...parts]));
    const size = Buffer.alloc(8);
    size.writeBigUInt64BE(BigInt(found.backing.size));
    about(Info.export, size, u16(this.#flags(found)));
    if (wanted.includes(Info.name)) about(Info.name, Buffer.from(name));
    const preferred = Math.max(preferredBlock, found.backing.blockSize);
    about(Info.blockSize, u32(1), u32(preferred), u32(maxPayload));
    this.#reply(option, OptionReply.ack);
    return option === Option.go ? found : undefined;
  }

  #metaContext(option: number, data: OptionData): undefined {
    const name = data.string();
    const queries = Array.from({ length: queryCount(data) }, () => data.string());
    data.end();
    if (!this.#structured) return this.#refuse(option, OptionReply.errInvalid, 'structured replies come first');
    const lists = option === Option.listMetaContext;
    if (!lists) this.#allocationOf = undefined;
    if (!this.#options.exports.has(name)) return this.#refuse(option, OptionReply.errUnknown, 'no such export');
    if ((lists && queries.length === 0) || queries.some((query) => asksForAllocation(query, lists))) {
      if (!lists) this.#allocationOf = name;
      const context = Buffer.from(allocationContext.name);
      this.#reply(option, OptionReply.metaContext, Buffer.concat([u32(lists ? 0 : allocationContext.id), context]));
    }
    return this.#reply(option, OptionReply.ack);
  }

  #agree(found: Export): Agreement {
    return { export: found, structured: this.#structured, allocation: this.#allocationOf === found.name };
  }

  #flags(found: Export): number {
    return transmissionFlags({ export: found, structured: this.#structured });
  }

  #refuse(option: number, error: number, why: string): undefined {
    return this.#reply(option, error, Buffer.from(why));
  }

  #reply(option: number, type: number, data: Uint8Array = new Uint8Array(0)): undefined {
    const head = Buffer.alloc(20);
    head.writeBigUInt64BE(magic.optionReply, 0);
    head.writeUInt32BE(option, 8);
    head.writeUInt32BE(type, 12);
    head.writeUInt32BE(data.length, 16);
    this.#socket.write(Buffer.concat([head, data]));
    return undefined;
  }
}

/** Each query has at least its length. @throws OptionDataError */
function queryCount(data: OptionData): number {
  const count = data.u32();
  if (count > longestOption / 4) throw new OptionDataError(`${count} queries`);
  return count;
}

function withLength(text: string): Buffer {
  return Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)]);
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
