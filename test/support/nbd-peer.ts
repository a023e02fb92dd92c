import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Inbound } from '../../lib/nbd/inbound.js';
import { magic } from '../../lib/nbd/protocol.js';

/** A client that says whatever a test wants. */
export class Peer {
  static readonly #all = new Set<Peer>();
  readonly inbound: Inbound;

  private constructor(readonly socket: Socket) {
    this.inbound = new Inbound(socket);
    Peer.#all.add(this);
    socket.once('close', () => Peer.#all.delete(this));
  }

  /** Those that a test which has failed has left. */
  static destroyAll(): void {
    for (const peer of Peer.#all) peer.destroy();
  }

  static async connect(path: string): Promise<Peer> {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, 'connect');
    return new Peer(socket);
  }

  /** Takes the greeting and answers it. */
  async greet(flags = 3): Promise<Buffer> {
    const greeting = await this.inbound.take(18);
    this.socket.write(u32(flags));
    return greeting;
  }

  option(option: number, data: Uint8Array = Buffer.alloc(0)): void {
    this.socket.write(Buffer.concat([u64(magic.option), u32(option), u32(data.length), data]));
  }

  async optionReply(): Promise<{ option: number; type: number; data: Buffer }> {
    const head = await this.inbound.take(20);
    const data = await this.inbound.take(head.readUInt32BE(16));
    return { option: head.readUInt32BE(8), type: head.readUInt32BE(12), data };
  }

  /** Replies to an option, up to the last one. */
  async ask(option: number, data?: Uint8Array): Promise<{ type: number; data: Buffer }[]> {
    this.option(option, data);
    const replies = [];
    for (;;) {
      const reply = await this.optionReply();
      replies.push({ type: reply.type, data: reply.data });
      if (reply.type === 1 || reply.type >= 2 ** 31) return replies;
    }
  }

  request(fields: Parameters<typeof encodeRequest>[0]): void {
    this.socket.write(encodeRequest(fields));
  }

  /** A reply without structure, with the data that a read of `length` has. */
  async simpleReply(length = 0): Promise<{ error: number; cookie: bigint; data: Buffer }> {
    const head = await this.inbound.take(16);
    const error = head.readUInt32BE(4);
    return { error, cookie: head.readBigUInt64BE(8), data: await this.inbound.take(error ? 0 : length) };
  }

  async chunk(): Promise<{ flags: number; type: number; cookie: bigint; payload: Buffer }> {
    const head = await this.inbound.take(20);
    const payload = await this.inbound.take(head.readUInt32BE(16));
    return { flags: head.readUInt16BE(4), type: head.readUInt16BE(6), cookie: head.readBigUInt64BE(8), payload };
  }

  /** Gone without a word. */
  destroy(): void {
    this.socket.destroy();
  }
}

export function encodeRequest({
  command = 0,
  flags = 0,
  cookie = 1n,
  offset = 0n,
  length = 0,
  data = Buffer.alloc(0) as Uint8Array,
}): Buffer {
  const head = Buffer.concat([u32(magic.request), u16(flags), u16(command), u64(cookie), u64(offset), u32(length)]);
  return Buffer.concat([head, data]);
}

/** Of NBD_OPT_GO and NBD_OPT_INFO. */
export function goData(name: string, infos: number[] = []): Buffer {
  return Buffer.concat([withLength(name), u16(infos.length), ...infos.map(u16)]);
}

/** Of NBD_OPT_SET_META_CONTEXT and NBD_OPT_LIST_META_CONTEXT. */
export function contextData(name: string, queries: string[]): Buffer {
  return Buffer.concat([withLength(name), u32(queries.length), ...queries.map(withLength)]);
}

function withLength(text: string): Buffer {
  return Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)]);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
