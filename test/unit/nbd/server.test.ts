import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { expect } from 'chai';
import fc from 'fast-check';
import { openTable } from '../../../lib/dm/open-table.js';
import { Disconnected } from '../../../lib/nbd/inbound.js';
import { Command, Option, OptionReply, ReplyType } from '../../../lib/nbd/protocol.js';
import type { Backing } from '../../../lib/nbd/server/export.js';
import { NbdServer, type NbdServerOptions } from '../../../lib/nbd/server/server.js';
import { activatedSockets } from '../../../lib/nbd/server/socket-activation.js';
import { ManualClock } from '../../support/manual-clock.js';
import { contextData, encodeRequest, goData, Peer, u16, u32, u64 } from '../../support/nbd-peer.js';

const mebibyte = 2 ** 20;

/** Reads of it end when the test says so. */
class HeldBacking implements Backing {
  readonly size = 64 * mebibyte;
  readonly blockSize = 512;
  readonly discards = true;
  readonly discardsToZero = true;
  readonly bytes = Buffer.alloc(this.size);
  readonly held: (() => void)[] = [];
  /** Reads and writes of it fail. */
  badByte = -1;
  #wake = () => {};

  async read(offset: number, into: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => {
      this.held.push(resolve);
      this.#wake();
    });
    this.#check(offset, into.length);
    into.set(this.bytes.subarray(offset, offset + into.length));
  }

  #check(offset: number, length: number): void {
    if (this.badByte >= offset && this.badByte < offset + length) throw new Error('EIO: bad');
  }

  /** Ends all that are held, and later ones at once. */
  release(): void {
    for (const end of this.held.splice(0)) end();
    this.held.push = (end) => {
      end();
      return 0;
    };
  }

  /** Resolves when so many reads are held. */
  async reads(count: number): Promise<void> {
    while (this.held.length < count)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#check(offset, bytes.length);
    this.bytes.set(bytes, offset);
  }
  async flush(): Promise<void> {}
  async discard(): Promise<void> {}
  extents(_: number, length: number) {
    return [{ length, hole: false }];
  }
}

const none = Buffer.alloc(0);

/** Keeps what it was asked for. */
class RecordingBacking implements Backing {
  readonly size = 65536;
  readonly blockSize = 512;
  readonly discards = true;
  readonly discardsToZero = true;
  readonly calls: string[] = [];

  async read(): Promise<void> {
    this.calls.push('read');
  }
  async write(_: number, __: Uint8Array, { fua }: { fua: boolean }): Promise<void> {
    this.calls.push(fua ? 'write fua' : 'write');
  }
  async flush(): Promise<void> {
    this.calls.push('flush');
  }
  async discard(): Promise<void> {
    this.calls.push('discard');
  }
  extents(_: number, length: number) {
    return [{ length, hole: false }];
  }
}

describe('NBD server', () => {
  let folder: string;
  let server: NbdServer;
  let log: string[];
  let backing: Backing;
  const path = () => join(folder, 'socket');
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-nbd-'));
  });
  afterEach(async () => {
    Peer.destroyAll();
    if (backing instanceof HeldBacking) backing.release();
    await server.close();
    rmSync(folder, { recursive: true });
  });

  async function start(what?: Backing, options: Partial<NbdServerOptions> = {}): Promise<void> {
    backing = what ?? (await openTable('0 16 linear ram:8192 0'));
    const rest = { name: 'other', readOnly: true, backing };
    log = [];
    server = new NbdServer({
      exports: [{ name: '', readOnly: false, backing }, rest],
      log: (line) => log.push(line),
      ...options,
    });
    await server.listen({ path: path() });
  }

  /** A client in transmission, without structured replies if not asked for. */
  async function ready(structured = false): Promise<Peer> {
    const peer = await Peer.connect(path());
    await peer.greet();
    if (structured) await peer.ask(Option.structuredReply);
    expect((await peer.ask(Option.go, goData(''))).at(-1)!.type).to.equal(OptionReply.ack);
    return peer;
  }

  /** That a well-behaved client is served. */
  async function serves(): Promise<void> {
    const peer = await ready();
    peer.request({ command: Command.read, cookie: 77n, offset: 8000n, length: 192 });
    const { error, cookie, data } = await peer.simpleReply(192);
    expect([error, cookie, data.length]).to.deep.equal([0, 77n, 192]);
    peer.destroy();
  }

  /** That the server has hung up: nothing comes any more. */
  async function isCutOff(peer: Peer): Promise<void> {
    const error = await peer.inbound.take(1 << 20).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(Disconnected);
    peer.destroy();
  }

  it('answers options, known and unknown, right and wrong', async () => {
    await start();
    const peer = await Peer.connect(path());
    expect((await peer.greet()).toString('hex')).to.equal('4e42444d4147494349484156454f50540003');
    const types = async (option: number, data?: Uint8Array) => (await peer.ask(option, data)).map(({ type }) => type);
    const { ack, info, server: listed, metaContext } = OptionReply;
    const { errUnsup, errInvalid, errUnknown, errPolicy } = OptionReply;
    expect(await types(99, Buffer.alloc(60_000))).to.deep.equal([errUnsup]);
    expect(await types(Option.list)).to.deep.equal([listed, listed, ack]);
    expect(await types(Option.list, Buffer.alloc(1))).to.deep.equal([errInvalid]);
    expect(await types(Option.startTls)).to.deep.equal([errPolicy]);
    expect(await types(Option.info, goData('absent'))).to.deep.equal([errUnknown]);
    expect(await types(Option.info, goData('other').subarray(1))).to.deep.equal([errInvalid]);
    expect(await types(Option.info, Buffer.concat([goData(''), Buffer.alloc(1)]))).to.deep.equal([errInvalid]);
    expect(await types(Option.go, u32(0xffffffff))).to.deep.equal([errInvalid]);
    expect(await types(Option.info, Buffer.concat([u32(2), Buffer.from([0xff, 0xfe]), u16(0)]))).to.deep.equal([
      errInvalid,
    ]);
    expect(await types(Option.info, goData('x'.repeat(4097)))).to.deep.equal([errInvalid]);
    expect(await types(Option.setMetaContext, contextData('', ['base:allocation']))).to.deep.equal([errInvalid]);
    expect(await types(Option.structuredReply)).to.deep.equal([ack]);
    expect(await types(Option.setMetaContext, contextData('', ['base:allocation', 'x:y']))).to.deep.equal([
      metaContext,
      ack,
    ]);
    expect(await types(Option.listMetaContext, contextData('', []))).to.deep.equal([metaContext, ack]);
    expect(await types(Option.listMetaContext, contextData('', ['qemu:']))).to.deep.equal([ack]);
    expect(await types(Option.setMetaContext, contextData('absent', []))).to.deep.equal([errUnknown]);
    const [first, name, size] = await peer.ask(Option.info, goData('other', [1]));
    expect([first!.type, first!.data.readBigUInt64BE(2)]).to.deep.equal([info, 8192n]);
    expect(first!.data.readUInt16BE(10) & 3).to.equal(3); // read-only
    expect(name!.data.subarray(2).toString()).to.equal('other');
    expect(size!.data.toString('hex')).to.equal('0003000000010000100002000000');
    expect(await types(Option.abort)).to.deep.equal([ack]);
    await isCutOff(peer);
  });

  describe('STARTTLS, with an upgrade that encrypts nothing', () => {
    const tls = { upgrade: async (socket: Duplex) => socket, required: false };

    it('what came in the clear behind it ends the connection', async () => {
      await start(undefined, { tls });
      const peer = await Peer.connect(path());
      await peer.greet();
      const option = (type: number) => Buffer.concat([Buffer.from('IHAVEOPT'), u32(type), u32(0)]);
      peer.socket.write(Buffer.concat([option(Option.startTls), option(Option.list)]));
      await isCutOff(peer);
      expect(log).to.deep.equal(['a client was cut off: data behind STARTTLS']);
    });

    it('nothing that was settled before it holds after it', async () => {
      await start(undefined, { tls });
      const peer = await Peer.connect(path());
      await peer.greet();
      const last = async (option: number, data?: Uint8Array) => (await peer.ask(option, data)).at(-1)!.type;
      const { ack, errInvalid } = OptionReply;
      const context = contextData('', ['base:allocation']);
      expect([await last(Option.structuredReply), await last(Option.setMetaContext, context)]).to.deep.equal([
        ack,
        ack,
      ]);
      expect([await last(Option.startTls), await last(Option.startTls)]).to.deep.equal([ack, errInvalid]);
      expect(await last(Option.setMetaContext, context), 'structured replies are gone').to.equal(errInvalid);
      expect(await last(Option.structuredReply)).to.equal(ack);
      expect(await last(Option.go, goData(''))).to.equal(ack);
      peer.request({ command: Command.blockStatus, length: 512 });
      const { type, payload } = await peer.chunk();
      expect([type, payload.readUInt32BE()], 'and so are contexts').to.deep.equal([ReplyType.error, 22]);
      peer.destroy();
    });

    it('where it is required nothing else is answered before it, and everything after it', async () => {
      await start(undefined, { tls: { ...tls, required: true } });
      const peer = await Peer.connect(path());
      await peer.greet();
      const last = async (option: number, data?: Uint8Array) => (await peer.ask(option, data)).at(-1)!.type;
      const { ack, errTlsRequired } = OptionReply;
      for (const option of [Option.list, Option.info, Option.go, Option.structuredReply, 99])
        expect(await last(option, goData(''))).to.equal(errTlsRequired);
      expect([await last(Option.startTls), await last(Option.go, goData(''))]).to.deep.equal([ack, ack]);
      peer.destroy();
    });
  });

  it('FUA: a write passes it on; a trim, and zeroes written or punched, are flushed before the answer', async () => {
    const store = new RecordingBacking();
    await start(store);
    const peer = await ready();
    const done = async (fields: Parameters<Peer['request']>[0]) => {
      store.calls.length = 0;
      peer.request(fields);
      const { error } = await peer.simpleReply(fields.command === Command.read ? fields.length : 0);
      return [error, ...store.calls];
    };
    const [fua, noHole] = [1, 2];
    const data = Buffer.alloc(512);
    const { read, write, trim, writeZeroes, flush } = Command;
    expect(await done({ command: write, length: 512, data })).to.deep.equal([0, 'write']);
    expect(await done({ command: write, flags: fua, length: 512, data })).to.deep.equal([0, 'write fua']);
    expect(await done({ command: trim, length: 1024 })).to.deep.equal([0, 'discard']);
    expect(await done({ command: trim, flags: fua, length: 1024 })).to.deep.equal([0, 'discard', 'flush']);
    // Less than a block is left as it is; what has been written before has to be stable all the same.
    expect(await done({ command: trim, flags: fua, length: 100 })).to.deep.equal([0, 'flush']);
    expect(await done({ command: writeZeroes, length: 1024 })).to.deep.equal([0, 'discard']);
    expect(await done({ command: writeZeroes, flags: fua, length: 1024 })).to.deep.equal([0, 'discard', 'flush']);
    expect(await done({ command: writeZeroes, flags: noHole, length: 1024 })).to.deep.equal([0, 'write']);
    expect(await done({ command: writeZeroes, flags: fua | noHole, length: 1024 })).to.deep.equal([
      0,
      'write',
      'flush',
    ]);
    expect(await done({ command: writeZeroes, flags: fua, offset: 100n, length: 1024 })).to.deep.equal([
      0,
      'write',
      'discard',
      'write',
      'flush',
    ]);
    expect(await done({ command: read, flags: fua, length: 512 })).to.deep.equal([0, 'read']);
    expect(await done({ command: flush, flags: fua })).to.deep.equal([0, 'flush']);
    // A flag that is of no use to a command, or unknown, is refused, and nothing is done.
    for (const [command, flags] of [
      [write, noHole],
      [trim, noHole],
      [flush, noHole],
      [read, 4],
      [writeZeroes, 16],
      [trim, 256],
    ] as const)
      expect(
        await done({ command, flags, length: command === write ? 512 : 0, data: command === write ? data : none }),
      ).to.deep.equal([22]);
    peer.destroy();
  });

  it('serves old clients, with and without the zeroes', async () => {
    await start();
    for (const flags of [0, 1, 2, 3]) {
      const peer = await Peer.connect(path());
      await peer.greet(flags);
      peer.option(Option.exportName);
      const answer = await peer.inbound.take(flags & 2 ? 10 : 134);
      expect(answer.readBigUInt64BE()).to.equal(8192n);
      peer.request({ command: Command.write, cookie: 5n, offset: 511n, length: 3, data: Buffer.from('abc') });
      peer.request({ command: Command.flush, cookie: 6n });
      const cookies = [(await peer.simpleReply()).cookie, (await peer.simpleReply()).cookie];
      expect(cookies.sort()).to.deep.equal([5n, 6n]);
      peer.request({ command: Command.read, offset: 510n, length: 5 });
      expect((await peer.simpleReply(5)).data.toString('latin1')).to.equal('\0abc\0');
      peer.request({ command: Command.disconnect });
      await isCutOff(peer);
    }
  });

  it('a context that was agreed upon for one export is none of another', async () => {
    await start();
    const peer = await Peer.connect(path());
    await peer.greet();
    await peer.ask(Option.structuredReply);
    expect(await peer.ask(Option.setMetaContext, contextData('other', ['base:allocation']))).to.have.length(2);
    await peer.ask(Option.go, goData(''));
    peer.request({ command: Command.blockStatus, length: 512 });
    const { type, payload } = await peer.chunk();
    expect([type, payload.readUInt32BE()]).to.deep.equal([ReplyType.error, 22]);
    peer.destroy();
  });

  it('an error tells its place, and a client that half-closes has its answers', async () => {
    await start(await openTable('0 8 zero\n8 8 error'));
    const peer = await ready(true);
    peer.request({ command: Command.read, cookie: 9n, offset: 4000n, length: 200 });
    peer.socket.end();
    const { type, flags, cookie, payload } = await peer.chunk();
    expect({ type, flags, cookie }).to.deep.equal({ type: ReplyType.errorOffset, flags: 1, cookie: 9n });
    expect(payload.toString('hex')).to.equal(Buffer.concat([u32(5), u16(0), u64(4096n)]).toString('hex'));
    await isCutOff(peer);
  });

  const hangUps: Record<string, (peer: Peer) => void> = {
    'unknown client flags': (peer) => peer.socket.write(u32(4)),
    'an option without its magic number': (peer) => peer.socket.write(Buffer.alloc(20, 1)),
    'an option of 4 GiB': (peer) =>
      peer.socket.write(Buffer.concat([u32(3), Buffer.from('IHAVEOPT'), u32(7), u32(0xffffffff)])),
    'an old client and an unknown name': (peer) => {
      peer.socket.write(u32(3));
      peer.option(Option.exportName, Buffer.from('absent'));
    },
    'thousands of options': (peer) => {
      peer.socket.write(u32(3));
      for (let index = 0; index < 2000; index++) peer.option(99);
    },
  };
  for (const [what, say] of Object.entries(hangUps))
    it(`hangs up on ${what}`, async () => {
      await start();
      const peer = await Peer.connect(path());
      say(peer);
      await isCutOff(peer);
      await serves();
    });

  it('lengths of 4 GiB are refused without memory, and a request without its magic number ends the connection', async () => {
    await start();
    const peer = await ready();
    const huge = { length: 0xffffffff };
    for (const [command, error] of [
      [Command.read, 22],
      [Command.trim, 22],
      [Command.writeZeroes, 28],
      [99, 22],
    ] as const) {
      peer.request({ command, ...huge });
      expect((await peer.simpleReply()).error).to.equal(error);
    }
    peer.request({ command: Command.write, length: 100_000, data: Buffer.alloc(100_000) });
    expect((await peer.simpleReply()).error).to.equal(28); // what followed has been read past
    peer.request({ command: Command.read, offset: 2n ** 64n - 1n, length: 2 });
    expect((await peer.simpleReply()).error).to.equal(22);
    expect(server.memoryUsage.buffers).to.equal(0);
    peer.request({ command: Command.write, ...huge });
    peer.destroy();
    const other = await ready();
    other.socket.write(Buffer.alloc(28, 7));
    await isCutOff(other);
    await serves();
  });

  it('clients that go in the middle of anything leave nothing behind', async () => {
    await start();
    const whole = encodeRequest({ command: Command.write, length: 600, data: Buffer.alloc(600, 1) });
    for (let cut = 0; cut <= whole.length; cut += 61) {
      const peer = await ready();
      peer.request({ command: Command.read, length: 8192 });
      peer.socket.end(whole.subarray(0, cut));
      peer.destroy();
    }
    await serves();
    await server.close();
    expect([server.connections, server.memoryUsage.inFlight]).to.deep.equal([0, 0]);
  });

  /** Four clients hold all memory: with writes whose data do not come, and with replies that they do not read. */
  async function crowd(options: Partial<NbdServerOptions> = {}): Promise<Peer[]> {
    await start(new HeldBacking(), { memory: 32 * mebibyte, ...options });
    const held = backing as HeldBacking;
    const peers = await Promise.all(Array.from({ length: 4 }, () => ready()));
    for (const peer of peers.slice(0, 2))
      peer.request({ command: Command.write, length: 8 * mebibyte, data: Buffer.alloc(1) });
    for (const peer of peers.slice(2))
      for (let index = 0; index < 3; index++) peer.request({ command: Command.read, length: 8 * mebibyte });
    await held.reads(2);
    while (server.memoryUsage.inFlight < 32 * mebibyte) await new Promise(setImmediate);
    // The replies of eight mebibytes fill the sockets, and nobody reads them.
    held.release();
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(server.memoryUsage.inFlight).to.equal(32 * mebibyte);
    return peers;
  }

  for (const structured of [false, true])
    it(`requests of any length are answered while others hold all memory, ${structured ? 'structured' : 'simple'} replies`, async () => {
      const peers = await crowd();
      const honest = await ready(structured);
      const pattern = Buffer.from(Array.from({ length: mebibyte }, (_, index) => (index * 31) >> 3));
      const check = async (request: Parameters<Peer['request']>[0], expected = Buffer.alloc(0)) => {
        honest.request({ cookie: 5n, ...request });
        if (!structured) {
          const { error, cookie, data } = await honest.simpleReply(expected.length);
          expect([error, cookie, data.equals(expected)]).to.deep.equal([0, 5n, true]);
          return;
        }
        const got = Buffer.alloc(expected.length);
        for (let flags = 0; flags === 0; ) {
          const chunk = await honest.chunk();
          flags = chunk.flags;
          expect([chunk.cookie, chunk.type & 0x8000]).to.deep.equal([5n, 0]);
          if (chunk.type === ReplyType.offsetData)
            chunk.payload.copy(got, Number(chunk.payload.readBigUInt64BE() - (request.offset ?? 0n)), 8);
        }
        expect(got.equals(expected)).to.equal(true);
      };
      const store = backing as HeldBacking;
      await check({ command: Command.write, offset: 777n, length: mebibyte, data: pattern });
      expect(store.bytes.subarray(777, 777 + mebibyte).equals(pattern)).to.equal(true);
      await check({ command: Command.read, offset: 777n, length: mebibyte }, pattern);
      await check({ command: Command.writeZeroes, flags: 2, offset: 1000n, length: 300_000 });
      expect(store.bytes.subarray(1000, 301_000).equals(Buffer.alloc(300_000))).to.equal(true);
      await check({ command: Command.read, offset: 0n, length: 4096 }, Buffer.from(store.bytes.subarray(0, 4096)));
      expect([server.memoryUsage.inFlight, log]).to.deep.equal([32 * mebibyte, []]);
      for (const peer of [...peers, honest]) peer.destroy();
    });

  it('an error in a later piece is the error of the request; where the reply says otherwise already, the end of the connection', async () => {
    const peers = await crowd();
    const store = backing as HeldBacking;
    store.badByte = 200_000;
    const [simple, chunks] = [await ready(), await ready(true)];
    simple.request({ command: Command.write, length: mebibyte, data: Buffer.alloc(mebibyte) });
    expect((await simple.simpleReply()).error).to.equal(5);
    simple.request({ command: Command.read, offset: 190_000n, length: mebibyte });
    expect((await simple.simpleReply()).error).to.equal(5);
    chunks.request({ command: Command.read, length: mebibyte });
    const seen = [];
    for (let flags = 0; flags === 0; ) {
      const chunk = await chunks.chunk();
      flags = chunk.flags;
      seen.push(chunk.type);
    }
    expect(seen).to.deep.equal([...Array(seen.length - 1).fill(ReplyType.offsetData), ReplyType.error]);
    expect(seen.length).to.be.above(1);
    simple.request({ command: Command.read, length: mebibyte });
    await isCutOff(simple);
    expect(log.at(-1)).to.contain('a client was cut off: a read failed after its reply had begun');
    for (const peer of [...peers, chunks]) peer.destroy();
  });

  it('200 clients that announce 4 MiB and send a byte keep nobody waiting', async () => {
    await start(new HeldBacking());
    const slow = await Promise.all(Array.from({ length: 200 }, () => ready()));
    for (const peer of slow) peer.request({ command: Command.write, length: 4 * mebibyte, data: Buffer.alloc(1) });
    while (server.memoryUsage.inFlight < 64 * mebibyte) await new Promise(setImmediate);
    const honest = await ready();
    for (const length of [4096, mebibyte]) {
      honest.request({ command: Command.write, length, data: Buffer.alloc(length) });
      expect((await honest.simpleReply()).error).to.equal(0);
    }
    expect(server.memoryUsage.inFlight).to.be.at.most(64 * mebibyte + 200 * (64 << 10));
    for (const peer of [...slow, honest]) peer.destroy();
  });

  it('the client that was idle for longest gives way to a new one, and the log says so', async () => {
    const clock = new ManualClock();
    const backing = new HeldBacking();
    await start(backing, { clock, maxClients: 3 });
    const first = await ready();
    clock.pass(1);
    const second = await ready();
    clock.pass(1);
    first.request({ command: Command.flush });
    await first.simpleReply();
    const busy = await ready();
    busy.request({ command: Command.read, length: 512 });
    await backing.reads(1);
    clock.pass(1);
    const fourth = await ready();
    await isCutOff(second);
    expect(log).to.deep.equal(['a client that was idle gave way to a new one: --max-clients is 3']);
    backing.held.splice(0)[0]!();
    expect((await busy.simpleReply(512)).error).to.equal(0);
    for (const peer of [first, busy, fourth]) peer.destroy();
  });

  it('where all clients are being served a new one is refused', async () => {
    await start(new HeldBacking(), { maxClients: 2 });
    const peers = [await ready(), await ready()];
    for (const peer of peers) peer.request({ command: Command.read, length: 512 });
    await (backing as HeldBacking).reads(2);
    await isCutOff(await Peer.connect(path()));
    expect(log).to.deep.equal(['a new client was refused: all 2 clients (--max-clients) are being served']);
    for (const peer of peers) peer.destroy();
  });

  /** Resolves when the server has seen what others had sent or taken before. */
  async function arrived(peer: Peer): Promise<void> {
    for (let index = 0; index < 3; index++) {
      peer.request({ command: Command.flush });
      await peer.simpleReply();
    }
  }

  it('one that has stalled gives way, one that makes progress does not, and the log says what was slow', async () => {
    const clock = new ManualClock();
    const peers = await crowd({ clock, maxClients: 5 });
    const [writer, drip, reader] = peers;
    const witness = await ready();
    await reader!.inbound.take(16);
    for (let round = 0; round < 3; round++) {
      writer!.socket.write(Buffer.alloc(64 << 10));
      drip!.socket.write(Buffer.alloc(1));
      await reader!.inbound.take(512 << 10);
      await arrived(witness);
      clock.pass(6000);
    }
    /** Somebody who is being served, and is no slower than the others. */
    const busy = async (peer: Peer) => {
      const before = server.memoryUsage.inFlight;
      peer.request({ command: Command.write, length: 100, data: Buffer.alloc(1) });
      while (server.memoryUsage.inFlight === before) await new Promise(setImmediate);
    };
    await busy(witness);
    const newcomer = await ready();
    await isCutOff(drip!);
    await busy(newcomer);
    const next = await ready();
    await isCutOff(peers[3]!);
    await busy(next);
    await isCutOff(await Peer.connect(path()));
    expect(log[0]).to.equal(
      'a client that stalled (of 8388608 bytes to write it has sent 4, and next to nothing for 18 s) gave way to a new one: --max-clients is 5',
    );
    expect(log[1]).to.match(
      /^a client that stalled \(it has not read replies for 18 s, \d+ bytes wait\) gave way to a new one: --max-clients is 5$/,
    );
    for (const peer of [writer!, reader!, witness, newcomer, next]) peer.destroy();
  });

  it('reads no more of a connection that has 128 requests in flight', async () => {
    const backing = new HeldBacking();
    await start(backing);
    const peer = await ready();
    for (let index = 0; index < 400; index++) peer.request({ command: Command.read, length: 1 });
    await backing.reads(128);
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(backing.held).to.have.length(128);
    for (let answered = 0; answered < 400; answered++) {
      await backing.reads(1);
      backing.held.shift()!();
      expect((await peer.simpleReply(1)).error).to.equal(0);
    }
    peer.destroy();
  });

  it('a thousand silent connections keep nobody out, and go when their time is over', async () => {
    const clock = new ManualClock();
    await start(undefined, { clock, maxClients: 100 });
    const good = await ready();
    const silent: Peer[] = [];
    for (let index = 0; index < 1000; index++) silent.push(await Peer.connect(path()));
    await serves();
    good.request({ command: Command.read, length: 512 });
    expect((await good.simpleReply(512)).error).to.equal(0);
    expect(server.connections).to.be.at.most(100);
    clock.pass(10_000);
    await isCutOff(silent.at(-1)!);
    good.request({ command: Command.read, length: 512 });
    expect((await good.simpleReply(512)).error).to.equal(0);
    for (const peer of [good, ...silent]) peer.destroy();
  });

  it('any bytes, in the negotiation or after it, do no harm', async () => {
    await start();
    const option = fc
      .tuple(fc.integer({ min: 0, max: 12 }), fc.uint8Array({ maxLength: 40 }))
      .map(([type, data]) => Buffer.concat([Buffer.from('IHAVEOPT'), u32(type), u32(data.length), data]));
    const request = fc
      .tuple(
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: 0, max: 31 }),
        fc.integer({ min: 0, max: 9000 }),
        fc.nat(9000),
      )
      .map(([command, flags, offset, length]) => encodeRequest({ command, flags, offset: BigInt(offset), length }));
    const garbage = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
    const script = fc.array(fc.oneof(option, request, garbage), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(script, fc.boolean(), async (parts, negotiated) => {
        const peer = negotiated ? await ready(true) : await Peer.connect(path());
        if (!negotiated) peer.socket.write(u32(3));
        peer.socket.end(Buffer.concat(parts));
        const closed = new Promise((resolve) => peer.socket.once('close', resolve));
        peer.inbound.release();
        peer.socket.on('error', () => {});
        peer.socket.resume();
        await closed;
        await serves();
      }),
      { numRuns: 60 },
    );
    expect(server.memoryUsage.inFlight).to.equal(0);
  });
});

describe('socket activation', () => {
  it('takes the sockets that are meant for this process', () => {
    expect(activatedSockets({ LISTEN_PID: '12', LISTEN_FDS: '2' }, 12)).to.deep.equal([3, 4]);
    expect(activatedSockets({ LISTEN_PID: '13', LISTEN_FDS: '2' }, 12)).to.deep.equal([]);
    expect(activatedSockets({ LISTEN_PID: '12', LISTEN_FDS: 'x' }, 12)).to.deep.equal([]);
    expect(activatedSockets({}, 12)).to.deep.equal([]);
  });
});
