import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Inbound } from '../../lib/nbd/inbound.js';
import { Command, HandshakeFlag, Info, magic, Option, OptionReply, requestBytes } from '../../lib/nbd/protocol.js';

/** What a fake export says of itself; sizes in bytes. */
export interface FakeExport {
  size?: number;
  /** NBD_FLAG_ */
  flags?: number;
  /** Least, preferred and largest block, if it says so. */
  blockSize?: [number, number, number];
  structured?: boolean;
}

export interface FakeRequest {
  flags: number;
  command: number;
  cookie: bigint;
  offset: number;
  length: number;
  data: Buffer;
}

/** Big-endian numbers, in one buffer: a pair is a value and its bytes. */
export function numbers(...values: [value: number | bigint, bytes: 2 | 4 | 8][]): Buffer {
  return Buffer.concat(
    values.map(([value, bytes]) => {
      const buffer = Buffer.alloc(8);
      buffer.writeBigUInt64BE(BigInt(value));
      return buffer.subarray(8 - bytes);
    }),
  );
}

export const greeting = numbers([magic.nbd, 8], [magic.option, 8], [HandshakeFlag.fixedNewstyle, 2]);

export function optionReply(option: number, type: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([numbers([magic.optionReply, 8], [option, 4], [type, 4], [data.length, 4]), data]);
}

/** What answers NBD_OPT_GO. */
export function exportReply({ size = 65536, flags = 1, blockSize }: FakeExport): Buffer {
  const info = numbers([Info.export, 2], [size, 8], [flags, 2]);
  const [least, preferred, most] = blockSize ?? [];
  const limits = blockSize && numbers([Info.blockSize, 2], [least!, 4], [preferred!, 4], [most!, 4]);
  return Buffer.concat([
    optionReply(Option.go, OptionReply.info, info),
    ...(limits ? [optionReply(Option.go, OptionReply.info, limits)] : []),
    optionReply(Option.go, OptionReply.ack),
  ]);
}

export function simpleReply(cookie: number | bigint, error = 0, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([numbers([magic.simpleReply, 4], [error, 4], [cookie, 8]), data]);
}

/** A chunk of a structured reply; `isDone` on the last. */
export function chunk(cookie: number | bigint, type: number, payload: Uint8Array, isDone = false): Buffer {
  const head = numbers([magic.structuredReply, 4], [Number(isDone), 2], [type, 2], [cookie, 8], [payload.length, 4]);
  return Buffer.concat([head, payload]);
}

/** The server's end of one connection. */
export class FakePeer {
  readonly inbound: Inbound;

  constructor(readonly socket: Socket) {
    this.inbound = new Inbound(socket);
  }

  /** Negotiates as a server should; what is left to answer is transmission. */
  async negotiate(fake: FakeExport): Promise<this> {
    this.socket.write(greeting);
    await this.inbound.take(4);
    for (;;) {
      const option = await this.option();
      if (option === Option.go) break;
      const isAgreed = option === Option.structuredReply && fake.structured;
      this.socket.write(optionReply(option, isAgreed ? OptionReply.ack : OptionReply.errUnsup));
    }
    this.socket.write(exportReply(fake));
    return this;
  }

  /** The next option that is asked for; its data is passed over. */
  async option(): Promise<number> {
    const header = await this.inbound.take(16);
    await this.inbound.skip(header.readUInt32BE(12));
    return header.readUInt32BE(8);
  }

  async request(): Promise<FakeRequest> {
    const header = await this.inbound.take(requestBytes);
    const command = header.readUInt16BE(6);
    const length = header.readUInt32BE(24);
    return {
      flags: header.readUInt16BE(4),
      command,
      cookie: header.readBigUInt64BE(8),
      offset: Number(header.readBigUInt64BE(16)),
      length,
      data: await this.inbound.take(command === Command.write ? length : 0),
    };
  }
}

/** A server on a unix socket that does to each connection what the test says, well or badly. */
export class FakeNbdServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'dmalg-nbd-'));
  readonly path = join(this.#folder, 'socket');
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** How many have connected. */
  connections = 0;

  private constructor(serve: (peer: FakePeer, index: number) => Promise<unknown>) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      // A client that hangs up on a script is what most scripts end with.
      serve(new FakePeer(socket), this.connections++).catch(() => socket.destroy());
    });
  }

  static async listen(serve: (peer: FakePeer, index: number) => Promise<unknown>): Promise<FakeNbdServer> {
    const server = new FakeNbdServer(serve);
    server.#server.listen(server.path);
    await once(server.#server, 'listening');
    return server;
  }

  /** A table line that is all of an export of so many bytes. */
  table(size = 65536): string {
    return `0 ${size / 512} linear ${this.uri} 0`;
  }

  get uri(): string {
    return `nbd+unix:///?socket=${this.path}`;
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => {
      this.#server.close(() => {
        rmSync(this.#folder, { recursive: true });
        resolve();
      });
    });
  }
}
