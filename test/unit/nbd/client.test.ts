import { execFile } from 'node:child_process';
import { expect } from 'chai';
import fc from 'fast-check';
import { Bio, type BioError, type BioFields } from '../../../lib/dm/bio.js';
import type { DeviceError } from '../../../lib/dm/device-error.js';
import { NbdDevice } from '../../../lib/dm/nbd-device.js';
import { openTable } from '../../../lib/dm/open-table.js';
import { TableError } from '../../../lib/dm/table-error.js';
import { Coverage } from '../../../lib/nbd/client/coverage.js';
import { NbdError } from '../../../lib/nbd/client/error.js';
import {
  Command,
  CommandFlag,
  Option,
  OptionReply,
  ReplyType,
  requestBytes,
  TransmissionFlag,
} from '../../../lib/nbd/protocol.js';
import {
  chunk,
  exportReply,
  FakeNbdServer,
  type FakeRequest,
  greeting,
  numbers,
  optionReply,
  simpleReply,
} from '../../support/fake-nbd-server.js';

const flags =
  TransmissionFlag.hasFlags | TransmissionFlag.sendFlush | TransmissionFlag.sendFua | TransmissionFlag.sendTrim;

async function failure<E = DeviceError>(promise: Promise<unknown>): Promise<E> {
  return promise.then(
    () => expect.fail('no error'),
    (error) => error,
  );
}

/** Runs a bio. */
function run(device: NbdDevice, fields: BioFields): Promise<BioError | null> {
  return new Promise((resolve) => device.submit(new Bio(fields, resolve)));
}

const open = (server: FakeNbdServer, readOnly = false) =>
  NbdDevice.open(server.uri, 0, { readOnly, reconnectTimeout: 0 });

const pattern = (length: number) => Buffer.from(Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) % 251));

describe('NBD client', function () {
  this.timeout(600_000);

  describe('requests', () => {
    it('several are in flight, and answered in any order', async () => {
      await using server = await FakeNbdServer.listen(async (peer) => {
        await peer.negotiate({ flags });
        const requests = [await peer.request(), await peer.request(), await peer.request()];
        for (const { cookie, offset } of requests.reverse())
          peer.socket.write(simpleReply(cookie, 0, Buffer.alloc(512, offset / 512)));
      });
      await using device = await openTable(server.table());
      const reads = await Promise.all([5, 6, 7].map((sector) => device.read(sector * 512, 512)));
      expect(reads.map((bytes) => [bytes[0], bytes[511]])).to.deep.equal([5, 6, 7].map((value) => [value, value]));
    });

    it('a bio longer than the server takes goes in pieces, which are in flight together; those that fail are told', async () => {
      const lengths: number[][] = [];
      await using server = await FakeNbdServer.listen(async (peer) => {
        await peer.negotiate({ flags, blockSize: [1, 4096, 8192 + 100] });
        const requests = [await peer.request(), await peer.request(), await peer.request()];
        lengths.push(requests.map(({ length }) => length));
        for (const { cookie, offset } of requests) peer.socket.write(simpleReply(cookie, offset === 8192 ? 28 : 0));
      });
      const device = await open(server);
      const error = await run(device, { op: 'write', sector: 0, bytes: Buffer.alloc(20480) });
      expect(lengths).to.deep.equal([[8192, 8192, 4096]]);
      expect(error).to.include({ code: 'ENOSPC' });
      expect(error!.failed).to.deep.equal([{ first: 16, count: 16 }]);
      await device.close();
    });

    it('blocks are those that the server asks for, and it ends with a whole one', async () => {
      await using server = await FakeNbdServer.listen((peer) =>
        peer.negotiate({ size: 4096 * 3 + 512, blockSize: [4096, 4096, 1 << 20] }),
      );
      const device = await open(server);
      expect([device.blockSize, device.sectors]).to.deep.equal([4096, 24]);
      await device.close();
    });

    it('a write that has to be stable says so, or is flushed where the server knows no such flag', async () => {
      for (const [has, expected] of [
        [flags, [[Command.write, CommandFlag.fua]]],
        [
          flags & ~TransmissionFlag.sendFua,
          [
            [Command.write, 0],
            [Command.flush, 0],
          ],
        ],
        [TransmissionFlag.hasFlags, [[Command.write, 0]]],
      ] as const) {
        const seen: number[][] = [];
        await using server = await FakeNbdServer.listen(async (peer) => {
          await peer.negotiate({ flags: has });
          for (;;) {
            const request = await peer.request();
            if (request.command === Command.disconnect) return;
            seen.push([request.command, request.flags]);
            peer.socket.write(simpleReply(request.cookie));
          }
        });
        const device = await open(server);
        expect(await run(device, { op: 'write', sector: 0, bytes: Buffer.alloc(512), fua: true })).to.equal(null);
        expect(seen).to.deep.equal(expected);
        await device.close();
      }
    });

    it('nothing is asked for that the server does not offer', async () => {
      const seen: FakeRequest[] = [];
      await using server = await FakeNbdServer.listen(async (peer) => {
        await peer.negotiate({ flags: TransmissionFlag.hasFlags });
        seen.push(await peer.request());
      });
      const device = await open(server);
      expect(device.discards).to.equal(false);
      expect(await run(device, { op: 'flush', sector: 0 })).to.equal(null);
      expect(await run(device, { op: 'discard', sector: 0, sectors: 8 })).to.include({ code: 'EOPNOTSUPP' });
      expect(await run(device, { op: 'read', sector: 127, bytes: Buffer.alloc(1024) })).to.include({ code: 'EIO' });
      await device.close();
      expect(seen.map(({ command }) => command).filter((command) => command !== Command.disconnect)).to.deep.equal([]);
    });

    it('a discard is a trim; closing says goodbye', async () => {
      const seen: number[][] = [];
      let gone = () => {};
      const goodbye = new Promise<void>((resolve) => {
        gone = resolve;
      });
      await using server = await FakeNbdServer.listen(async (peer) => {
        await peer.negotiate({ flags });
        const trim = await peer.request();
        peer.socket.write(simpleReply(trim.cookie));
        const last = await peer.request();
        for (const { command, offset, length } of [trim, last]) seen.push([command, offset, length]);
        gone();
      });
      const device = await openTable(server.table());
      await device.discard(4096, 8192);
      await device.close();
      await goodbye;
      expect(seen).to.deep.equal([
        [Command.trim, 4096, 8192],
        [Command.disconnect, 0, 0],
      ]);
    });

    it('a read-only export opens for reading only', async () => {
      await using server = await FakeNbdServer.listen((peer) =>
        peer.negotiate({ flags: flags | TransmissionFlag.readOnly }),
      );
      const error = await failure<TableError>(openTable(server.table()));
      expect(error).to.be.instanceOf(TableError);
      expect(error).to.include({ reason: 'Device lookup failed', code: 'EROFS', hint: 'the export is read-only' });
      await using device = await openTable(server.table(), { readOnly: true });
      expect((await failure(device.write(0, Buffer.alloc(512)))).code).to.equal('EROFS');
      expect((await failure(device.discard(0, 512))).code).to.equal('EROFS');
    });

    it("an error's name is the server's, and one that the protocol does not know is EINVAL", async () => {
      await using server = await FakeNbdServer.listen(async (peer) => {
        await peer.negotiate({ flags });
        for (const error of [1, 5, 12, 22, 28, 75, 95, 4711])
          peer.socket.write(simpleReply((await peer.request()).cookie, error));
      });
      await using device = await openTable(server.table());
      const codes: string[] = [];
      for (let index = 0; index < 8; index++) codes.push((await failure(device.read(0, 512))).code);
      expect(codes).to.deep.equal(['EPERM', 'EIO', 'ENOMEM', 'EINVAL', 'ENOSPC', 'EOVERFLOW', 'EOPNOTSUPP', 'EINVAL']);
    });

    it('an idle device does not keep the process alive', async () => {
      await using server = await FakeNbdServer.listen((peer) => peer.negotiate({ flags }));
      // The server is in this process, which has to go on while the other one runs.
      const module = new URL('../../../lib/index.js', import.meta.url).href;
      const text = `import { openTable } from '${module}'; await openTable('${server.table()}'); console.log('open');`;
      const output = await new Promise<string>((resolve, reject) => {
        execFile(process.execPath, ['--input-type=module', '-e', text], (error, stdout) =>
          error ? reject(error) : resolve(stdout),
        );
      });
      expect(output).to.equal('open\n');
    });
  });

  describe('structured replies', () => {
    const { offsetData, offsetHole, none, error, errorOffset } = ReplyType;
    const data = (offset: number, bytes: Uint8Array) => Buffer.concat([numbers([offset, 8]), bytes]);
    const hole = (offset: number, length: number) => numbers([offset, 8], [length, 4]);
    const text = Buffer.from('bad\nsector');
    const failed = (code: number, offset?: number) =>
      Buffer.concat([
        numbers([code, 4], [text.length, 2]),
        text,
        ...(offset === undefined ? [] : [numbers([offset, 8])]),
      ]);

    /** Reads 4096 bytes at 8192, answered by these chunks. */
    async function answer(
      chunks: (request: FakeRequest) => Buffer[],
    ): Promise<{ error: BioError | null; bytes: Buffer }> {
      await using server = await FakeNbdServer.listen(async (peer) => {
        await peer.negotiate({ flags, structured: true });
        peer.socket.write(Buffer.concat(chunks(await peer.request())));
      });
      const device = await open(server);
      const bytes = Buffer.alloc(4096, 0xaa);
      const error = await run(device, { op: 'read', sector: 16, bytes });
      await device.close();
      return { error, bytes };
    }

    it('chunks come in any order, holes are zeroes', async () => {
      const { error: outcome, bytes } = await answer(({ cookie }) => [
        chunk(cookie, offsetData, data(8192 + 3000, pattern(1096))),
        chunk(cookie, offsetHole, hole(8192, 1000)),
        chunk(cookie, offsetData, data(8192 + 1000, pattern(2000)), true),
      ]);
      expect(outcome).to.equal(null);
      expect(bytes.equals(Buffer.concat([Buffer.alloc(1000), pattern(2000), pattern(1096)]))).to.equal(true);
    });

    it('errors with offsets leave the other sectors', async () => {
      const { error: outcome, bytes } = await answer(({ cookie }) => [
        chunk(cookie, offsetData, data(8192, pattern(2048))),
        chunk(cookie, errorOffset, failed(5, 8192 + 1030)),
        chunk(cookie, offsetData, data(8192 + 2048, pattern(1024))),
        chunk(cookie, errorOffset, failed(1, 8192 + 3500)),
        chunk(cookie, none, Buffer.alloc(0), true),
      ]);
      expect(outcome).to.include({ code: 'EIO' });
      expect(outcome!.failed).to.deep.equal([
        { first: 2, count: 2 },
        { first: 6, count: 2 },
      ]);
      expect((outcome!.cause as Error).message).to.include('it says: bad sector');
      expect(bytes.subarray(0, 1024).equals(pattern(1024))).to.equal(true);
      expect(bytes.subarray(2048, 3072).equals(pattern(1024))).to.equal(true);
    });

    it('an error without offset fails all of it, whatever came beside', async () => {
      const { error: outcome } = await answer(({ cookie }) => [
        chunk(cookie, offsetData, data(8192, pattern(4096))),
        chunk(cookie, errorOffset, failed(5, 8192)),
        chunk(cookie, error, failed(12), true),
      ]);
      expect(outcome!.failed).to.deep.equal([{ first: 0, count: 8 }]);
    });

    it('an error of a kind that is not known yet is an error', async () => {
      const { error: outcome } = await answer(({ cookie }) => [
        chunk(cookie, 0x8777, Buffer.concat([failed(5), pattern(9)])),
        chunk(cookie, none, Buffer.alloc(0), true),
      ]);
      expect(outcome).to.include({ code: 'EIO' });
    });

    const lies: [title: string, chunks: (request: FakeRequest) => Buffer[], why: string][] = [
      [
        'nothing',
        ({ cookie }) => [chunk(cookie, none, Buffer.alloc(0), true)],
        '4096 of the 4096 bytes of a read never came',
      ],
      [
        'too little',
        ({ cookie }) => [chunk(cookie, offsetData, data(8192, pattern(4095)), true)],
        '1 of the 4096 bytes',
      ],
      ['data before it', ({ cookie }) => [chunk(cookie, offsetData, data(8191, pattern(10)))], 'bytes -1 to 9'],
      ['data behind it', ({ cookie }) => [chunk(cookie, offsetData, data(12287, pattern(2)))], 'bytes 4095 to 4097'],
      ['a hole behind it', ({ cookie }) => [chunk(cookie, offsetHole, hole(8192, 4097))], 'bytes 0 to 4097'],
      ['an empty hole', ({ cookie }) => [chunk(cookie, offsetHole, hole(8192, 0))], 'bytes 0 to 0'],
      [
        'a hole of another length',
        ({ cookie }) => [chunk(cookie, offsetHole, pattern(13))],
        'a chunk of type 2 and 13 bytes',
      ],
      ['data of no length', ({ cookie }) => [chunk(cookie, offsetData, pattern(8))], 'a chunk of type 1 and 8 bytes'],
      ['an error outside', ({ cookie }) => [chunk(cookie, errorOffset, failed(5, 8191))], 'bytes -1 to 0'],
      ['an error that is too short', ({ cookie }) => [chunk(cookie, error, pattern(5))], 'an error of 5 bytes'],
      [
        'an error with more text than it has',
        ({ cookie }) => [chunk(cookie, error, numbers([5, 4], [100, 2]))],
        'whose text is longer',
      ],
      ['an end that is none', ({ cookie }) => [chunk(cookie, none, Buffer.alloc(0))], 'a chunk of type 0'],
      ['an unknown chunk', ({ cookie }) => [chunk(cookie, 9, pattern(4))], 'a chunk of type 9 and 4 bytes'],
      ['a block status', ({ cookie }) => [chunk(cookie, ReplyType.blockStatus, pattern(12))], 'a chunk of type 5'],
      [
        'a simple reply',
        ({ cookie }) => [simpleReply(cookie, 0, pattern(4096))],
        'where structured ones were agreed on',
      ],
      [
        'an overlap',
        ({ cookie }) => [chunk(cookie, offsetData, data(8192, pattern(10))), chunk(cookie, offsetHole, hole(8201, 2))],
        'overlapping chunks',
      ],
      [
        'data where an error was',
        ({ cookie }) => [
          chunk(cookie, errorOffset, failed(5, 8200)),
          chunk(cookie, offsetData, data(8192, pattern(10))),
        ],
        'overlapping chunks',
      ],
      [
        'crumbs',
        ({ cookie }) => Array.from({ length: 12 }, (_, index) => chunk(cookie, offsetHole, hole(8192 + 2 * index, 1))),
        'answered in more than',
      ],
    ];
    for (const [title, chunks, why] of lies)
      it(`${title}: the read fails, and says why`, async () => {
        const { error: outcome } = await answer(chunks);
        expect(outcome).to.include({ code: 'EPROTO' });
        expect((outcome!.cause as Error).message).to.include(why);
      });

    it('for any chunks and errors, what is missing is what a model says', () => {
      const length = 64 * 512;
      const pieces = fc.uniqueArray(fc.integer({ min: 1, max: length - 1 }), { maxLength: 30 });
      const errors = fc.array(fc.nat(length - 1), { maxLength: 4 });
      const property = fc.property(pieces, fc.infiniteStream(fc.nat(3)), errors, (borders, choices, offsets) => {
        const edges = [0, ...borders.sort((a, b) => a - b), length];
        const chunks = edges.slice(1).map((to, index) => ({ from: edges[index]!, to, rank: choices.next().value! }));
        const model = new Uint8Array(length);
        const coverage = new Coverage(length);
        // Rank 0 never comes, the others in order of their ranks.
        for (const { from, to } of chunks.filter(({ rank }) => rank > 0).sort((a, b) => a.rank - b.rank)) {
          coverage.add(from, to);
          model.fill(1, from, to);
        }
        for (const at of offsets) {
          coverage.spoil(at);
          const { to, rank } = chunks.find(({ from, to }) => from <= at && at < to)!;
          if (rank > 0) model.fill(0, at, to);
        }
        const left = new Uint8Array(length).fill(1);
        for (const { offset, length } of coverage.missing()) left.fill(0, offset, offset + length);
        expect(Buffer.compare(left, model)).to.equal(0);
      });
      fc.assert(property, { seed: 3, numRuns: 200 });
    });
  });

  describe('the negotiation', () => {
    const go = (type: number, data?: Uint8Array) => optionReply(Option.go, type, data);
    const info = (...values: Parameters<typeof numbers>) => go(OptionReply.info, numbers(...values));
    const cases: [title: string, replies: Buffer[], code: string, why: string][] = [
      ['a greeting of something else', [pattern(18)], 'EPROTO', 'it greets with something else'],
      [
        'the old style',
        [numbers([0x4e42444d41474943n, 8], [0x420281861253n, 8], [0, 2])],
        'EPROTONOSUPPORT',
        'the old style',
      ],
      [
        'newstyle that is not fixed',
        [numbers([0x4e42444d41474943n, 8], [0x49484156454f5054n, 8], [0, 2])],
        'EPROTONOSUPPORT',
        'fixed newstyle',
      ],
      ['an end', [greeting], 'ENOTCONN', 'before it let us in'],
      [
        'a need for TLS',
        [greeting, optionReply(Option.structuredReply, OptionReply.errTlsRequired)],
        'EACCES',
        'nbds: or nbds+unix:',
      ],
      [
        'no such export',
        [go(OptionReply.errUnknown, Buffer.from('try\u001b[2J harder'))],
        'ENOENT',
        "no such export (''); it says: try [2J harder",
      ],
      ['no NBD_OPT_GO', [go(OptionReply.errUnsup)], 'EPROTONOSUPPORT', 'does not know NBD_OPT_GO'],
      ['an answer that is none', [go(77)], 'EPROTO', 'an answer of type 77'],
      [
        'an answer to another option',
        [optionReply(Option.list, OptionReply.ack)],
        'EPROTO',
        'it does not answer option 7',
      ],
      [
        'an answer of 4 GiB',
        [numbers([0x3e889045565a9n, 8], [Option.go, 4], [OptionReply.info, 4], [2 ** 32 - 1, 4])],
        'EPROTO',
        'an answer of 4294967295 bytes',
      ],
      ['no size', [go(OptionReply.ack)], 'EPROTO', 'how large the export is'],
      ['half a size', [info([0, 2], [4096, 4])], 'EPROTO', '6 bytes of NBD_INFO_EXPORT'],
      [
        'a size of 2^64 - 1',
        [info([0, 2], [2n ** 64n - 1n, 8], [1, 2]), go(OptionReply.ack)],
        'EFBIG',
        'more than 2^53',
      ],
      [
        'blocks of 1000 bytes',
        [exportReply({ blockSize: [1000, 4096, 1 << 20] })],
        'EPROTO',
        'blocks of at least 1000',
      ],
      ['a most below the least', [exportReply({ blockSize: [4096, 4096, 512] })], 'EPROTO', 'at most 512 bytes'],
      [
        'blocks of 8192 bytes',
        [exportReply({ blockSize: [8192, 8192, 1 << 20] })],
        'ERANGE',
        'blocks of 8192 bytes, more than 4096',
      ],
      [
        'requests of 511 bytes',
        [exportReply({ blockSize: [1, 1, 511] })],
        'ERANGE',
        'at most 511 bytes, less than a block',
      ],
    ];
    for (const [title, replies, code, why] of cases)
      it(`${title}: the table does not open, and says why`, async () => {
        await using server = await FakeNbdServer.listen(async ({ socket }) => {
          const begins = replies[0]!.length === 18;
          const start = begins ? [] : [greeting, optionReply(Option.structuredReply, OptionReply.errUnsup)];
          socket.end(Buffer.concat([...start, ...replies]));
        });
        const error = await failure<TableError>(openTable(server.table(), { readOnly: true }));
        expect(error).to.include({ reason: 'Device lookup failed', code, argument: 0, line: 1, value: server.uri });
        expect(error.message).to.include(why);
      });

    it('what a server says in the clear before TLS begins is not taken for what it says after', async () => {
      await using server = await FakeNbdServer.listen(async (peer) => {
        peer.socket.write(greeting);
        await peer.inbound.take(4);
        await peer.option();
        peer.socket.write(Buffer.concat([optionReply(Option.startTls, OptionReply.ack), pattern(20)]));
      });
      const table = server.table().replace('nbd+unix', 'nbds+unix');
      const error = await failure<TableError>(openTable(table));
      expect(error.message).to.include('EPROTO: ').and.include('it speaks before TLS has begun');
    });
  });

  describe('a server that lies', () => {
    const lies: [title: string, reply: (request: FakeRequest) => Buffer, why: string][] = [
      ['about the magic number', () => Buffer.alloc(16, 0x55), 'a reply begins with 0x55555555'],
      ['about the cookie', ({ cookie }) => simpleReply(cookie + 7n, 0, pattern(512)), 'it answers what was not asked'],
      ['about a huge cookie', () => simpleReply(0xffffffffffffffffn), 'it answers what was not asked'],
      ['with a structured reply', ({ cookie }) => chunk(cookie, 0, Buffer.alloc(0), true), 'was not agreed on'],
      [
        'by answering twice',
        ({ cookie }) => Buffer.concat([simpleReply(cookie, 5), simpleReply(cookie, 5)]),
        'it answers what was not asked',
      ],
    ];
    for (const [title, reply, why] of lies)
      it(`${title} is not believed further`, async () => {
        await using server = await FakeNbdServer.listen(async (peer) => {
          await peer.negotiate({ flags });
          const request = await peer.request();
          await peer.request();
          peer.socket.write(reply(request));
        });
        const device = await open(server);
        const [, second] = await Promise.all(
          [0, 1].map((sector) => run(device, { op: 'read', sector, bytes: Buffer.alloc(512) })),
        );
        expect(second).to.include({ code: 'EPROTO' });
        expect((second!.cause as Error).message).to.include(why);
        await device.close();
      });
  });

  for (const [phase, spoiltPhase, cut] of [
    ['the negotiation', 0, 'ENOTCONN'],
    ['its replies', 1, 'ETIMEDOUT'],
  ] as const)
    it(`any bytes of a server in ${phase} end in success or in a clear error`, async () => {
      const phases = [
        Buffer.concat([
          greeting,
          optionReply(Option.structuredReply, OptionReply.ack),
          exportReply({ flags, blockSize: [1, 4096, 1 << 20] }),
        ]),
        Buffer.concat([
          chunk(0, ReplyType.offsetData, Buffer.concat([numbers([0, 8]), pattern(512)])),
          chunk(1, ReplyType.offsetHole, numbers([512, 8], [512, 4]), true),
          chunk(0, ReplyType.none, Buffer.alloc(0), true),
        ]),
      ] as const;
      const place = fc.nat(phases[spoiltPhase].length - 1);
      const spoils = fc.array(fc.tuple(place, fc.nat(255)), { maxLength: 4 });
      let successes = 0;
      const errors = new Set<string>();
      const property = fc.asyncProperty(spoils, fc.option(place), async (changes, end) => {
        const bytes = Buffer.from(phases[spoiltPhase]);
        for (const [at, value] of changes) bytes[at] = value;
        const isSpoilt = !bytes.equals(phases[spoiltPhase]) || end !== null;
        const spoilt = bytes.subarray(0, end ?? bytes.length);
        await using server = await FakeNbdServer.listen(async ({ socket, inbound }) => {
          if (spoiltPhase === 0 && isSpoilt) return socket.end(spoilt);
          socket.write(phases[0]);
          await inbound.skip(4 + 16 + 24 + 2 * requestBytes);
          return socket.end(spoiltPhase === 1 ? spoilt : phases[1]);
        });
        try {
          const device = await NbdDevice.open(server.uri, 0, { readOnly: true, reconnectTimeout: 0 });
          const buffers = [Buffer.alloc(512, 0xaa), Buffer.alloc(512, 0xaa)];
          const outcomes = await Promise.all(
            buffers.map((bytes, sector) => run(device, { op: 'read', sector, bytes })),
          );
          await device.close();
          for (const outcome of outcomes) {
            if (outcome) {
              expect(outcome.cause).to.be.instanceOf(NbdError);
              expect(outcome.failed).to.have.length.above(0);
              errors.add(outcome.code);
            } else successes++;
          }
          if (!isSpoilt)
            expect(Buffer.concat(buffers).equals(Buffer.concat([pattern(512), Buffer.alloc(512)]))).to.equal(true);
        } catch (error) {
          if (!(error instanceof TableError)) throw error;
          errors.add(error.code);
        }
      });
      await fc.assert(property, { seed: 11, numRuns: 80, examples: [[[], null]] });
      expect(successes).to.be.above(1);
      expect([...errors]).to.include.members(['EPROTO', cut]);
    });
});
