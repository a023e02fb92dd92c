import { expect } from 'chai';
import type { DeviceError } from '../../../lib/dm/device-error.js';
import { openTable } from '../../../lib/dm/open-table.js';
import type { Reconnection } from '../../../lib/nbd/client/client.js';
import { Command, TransmissionFlag } from '../../../lib/nbd/protocol.js';
import { EagerClock } from '../../support/eager-clock.js';
import { FakeNbdServer, type FakePeer, type FakeRequest, simpleReply } from '../../support/fake-nbd-server.js';
import { ManualClock } from '../../support/manual-clock.js';

const flags = TransmissionFlag.hasFlags | TransmissionFlag.sendFlush | TransmissionFlag.sendTrim;

async function failure(promise: Promise<unknown>): Promise<DeviceError> {
  return promise.then(
    () => expect.fail('no error'),
    (error) => error,
  );
}

/** Answers each request with success, a read with bytes of its sector's number. */
async function serve(peer: FakePeer, seen: FakeRequest[] = []): Promise<void> {
  for (;;) {
    const request = await peer.request();
    seen.push(request);
    const { command, cookie, length, offset } = request;
    peer.socket.write(simpleReply(cookie, 0, Buffer.alloc(command === Command.read ? length : 0, offset / 512)));
  }
}

describe('an NBD connection that breaks', function () {
  this.timeout(600_000);

  it('what has no answer is sent again, in its order and with its bytes', async () => {
    const [first, second]: FakeRequest[][] = [[], []];
    await using server = await FakeNbdServer.listen(async (peer, index) => {
      await peer.negotiate({ flags });
      if (index > 0) return serve(peer, second);
      for (let count = 0; count < 4; count++) first!.push(await peer.request());
      peer.socket.write(simpleReply(first![1]!.cookie));
      return peer.socket.end();
    });
    await using device = await openTable(server.table());
    const [bytes] = await Promise.all([
      device.read(512, 512),
      device.write(1024, Buffer.alloc(512, 1)),
      device.write(4096, Buffer.alloc(1024, 2)),
      device.discard(8192, 512),
    ]);
    expect(Buffer.alloc(512, 1).equals(bytes)).to.equal(true);
    const list = (requests: FakeRequest[]) => requests.map(({ command, offset, length }) => [command, offset, length]);
    expect(list(second!)).to.deep.equal(list(first!).filter((_, index) => index !== 1));
    expect(second![1]!.data.equals(Buffer.alloc(1024, 2))).to.equal(true);
    expect(server.connections).to.equal(2);
  });

  it('half a reply is no reply: the read is made again from its beginning', async () => {
    await using server = await FakeNbdServer.listen(async (peer, index) => {
      await peer.negotiate({ flags });
      if (index > 0) return serve(peer);
      const { cookie } = await peer.request();
      return peer.socket.end(simpleReply(cookie, 0, Buffer.alloc(1000, 0xee)));
    });
    await using device = await openTable(server.table());
    expect(Buffer.alloc(2048, 1).equals(await device.read(512, 2048))).to.equal(true);
  });

  it('a server that says it shuts down is left, and asked again', async () => {
    await using server = await FakeNbdServer.listen(async (peer, index) => {
      await peer.negotiate({ flags });
      if (index > 0) return serve(peer);
      return peer.socket.write(simpleReply((await peer.request()).cookie, 108));
    });
    await using device = await openTable(server.table());
    expect(Buffer.alloc(512, 1).equals(await device.read(512, 512))).to.equal(true);
    expect(server.connections).to.equal(2);
  });

  it('its owner hears how much had been written and not flushed', async () => {
    const events: Reconnection[] = [];
    await using server = await FakeNbdServer.listen(async (peer, index) => {
      await peer.negotiate({ flags });
      if (index === 2) return serve(peer);
      for (let count = 0; count < 4; count++) peer.socket.write(simpleReply((await peer.request()).cookie));
      await peer.request();
      return peer.socket.destroy();
    });
    await using device = await openTable(server.table(), { nbd: { onReconnect: (event) => events.push(event) } });
    await device.write(0, Buffer.alloc(512));
    await device.flush();
    await device.write(512, Buffer.alloc(1024));
    await device.write(2048, Buffer.alloc(2048));
    await device.write(4096, Buffer.alloc(512));
    expect(events.map(({ uri, unflushed }) => [uri, unflushed])).to.deep.equal([[server.uri, 3072]]);
    // On the second connection: the write that was sent again, a flush, a write and its flush. Then it breaks in a read.
    await device.flush();
    await device.write(0, Buffer.alloc(512), { fua: true });
    await device.read(0, 512);
    expect(events.map(({ unflushed }) => unflushed)).to.deep.equal([3072, 0]);
  });

  it('a flush covers what had been written when it was sent, and not what is written meanwhile', async () => {
    const events: Reconnection[] = [];
    await using server = await FakeNbdServer.listen(async (peer, index) => {
      await peer.negotiate({ flags });
      if (index === 1) return serve(peer);
      peer.socket.write(simpleReply((await peer.request()).cookie));
      const [flush, write] = [await peer.request(), await peer.request()];
      peer.socket.write(simpleReply(write.cookie));
      peer.socket.write(simpleReply(flush.cookie));
      await peer.request();
      return peer.socket.destroy();
    });
    await using device = await openTable(server.table(), { nbd: { onReconnect: (event) => events.push(event) } });
    await device.write(0, Buffer.alloc(512));
    await Promise.all([device.flush(), device.write(1024, Buffer.alloc(1536))]);
    await device.read(0, 512);
    expect(events.map(({ unflushed }) => unflushed)).to.deep.equal([1536]);
  });

  it('a write that was on stable storage when it was answered is not among what may be lost', async () => {
    const events: Reconnection[] = [];
    const withFua = flags | TransmissionFlag.sendFua;
    await using server = await FakeNbdServer.listen(async (peer, index) => {
      await peer.negotiate({ flags: withFua });
      if (index === 1) return serve(peer);
      for (let count = 0; count < 2; count++) peer.socket.write(simpleReply((await peer.request()).cookie));
      await peer.request();
      return peer.socket.destroy();
    });
    await using device = await openTable(server.table(), { nbd: { onReconnect: (event) => events.push(event) } });
    await device.write(0, Buffer.alloc(512), { fua: true });
    await device.write(1024, Buffer.alloc(1536));
    await device.read(0, 512);
    expect(events.map(({ unflushed }) => unflushed)).to.deep.equal([1536]);
  });

  for (const [what, now, words] of [
    ['size', { size: 131072, flags }, 'size 65536, now 131072'],
    ['flags', { flags: flags | TransmissionFlag.readOnly }, `flags ${flags}, now ${flags | 2}`],
  ] as const)
    it(`an export of another ${what} is not the same: what waits fails`, async () => {
      await using server = await FakeNbdServer.listen(async (peer, index) => {
        await peer.negotiate(index === 0 ? { flags } : now);
        await peer.request();
        peer.socket.end();
      });
      await using device = await openTable(server.table());
      const error = await failure(device.read(0, 512));
      expect(error.code).to.equal('ESTALE');
      expect(error.message).to.include(`after a reconnection the export is another: ${words}`);
    });

  it('pauses between attempts grow, and what waits too long fails with the last cause', async () => {
    const server = await FakeNbdServer.listen(async (peer) => {
      await peer.negotiate({ flags });
      await peer.request();
      await server[Symbol.asyncDispose]();
    });
    const pauses: number[] = [];
    const eager = new EagerClock(5000);
    const clock = {
      now: () => eager.now(),
      after: (ms: number, callback: () => void) => {
        if (ms <= 5000) pauses.push(ms);
        return eager.after(ms, callback);
      },
    };
    await using device = await openTable(server.table(), { clock });
    const error = await failure(device.read(0, 512));
    expect(error.code).to.equal('ETIMEDOUT');
    expect(error.message).to.include('not answered within 30000 ms of reconnecting; ENOENT: connect /');
    expect(pauses).to.deep.equal([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, 5000]);
    // The device lives on: the next request tries again.
    expect((await failure(device.write(0, Buffer.alloc(512)))).code).to.equal('ETIMEDOUT');
  });

  it('a server that dies of each request is not asked for ever', async () => {
    await using server = await FakeNbdServer.listen(async (peer) => {
      await peer.negotiate({ flags });
      await peer.request();
      peer.socket.destroy();
    });
    await using device = await openTable(server.table(), { clock: new EagerClock(5000) });
    expect((await failure(device.read(0, 512))).message).to.include('of reconnecting; ENOTCONN: ');
    expect(server.connections).to.be.within(10, 14);
  });

  it('a request without an answer breaks the connection when its time is over, and not before', async () => {
    const clock = new ManualClock();
    let arrived = () => {};
    await using server = await FakeNbdServer.listen(async (peer, index) => {
      await peer.negotiate({ flags });
      if (index > 0) return serve(peer);
      const first = await peer.request();
      await peer.request();
      peer.socket.write(simpleReply(first.cookie, 0, Buffer.alloc(512, 7)));
      await peer.request();
      return arrived();
    });
    await using device = await openTable(server.table(), { clock, nbd: { requestTimeout: 1000 } });
    const first = device.read(0, 512);
    // Its lock is taken in a later turn.
    await new Promise(setImmediate);
    clock.pass(600);
    const second = device.read(512, 512);
    expect((await first)[0]).to.equal(7);
    const hasThird = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    clock.pass(600);
    const third = device.read(1024, 512);
    await hasThird;
    expect(server.connections).to.equal(1);
    clock.pass(400);
    expect([(await second)[0], (await third)[0]]).to.deep.equal([1, 2]);
    expect(server.connections).to.equal(2);
    expect(clock.timers).to.equal(0);
  });

  it('a server that does not let us in is left when its time is over', async () => {
    const clock = new ManualClock();
    await using server = await FakeNbdServer.listen(async () => clock.pass(10_000));
    const error = await failure(openTable(server.table(), { clock }));
    expect(error.message).to.include('ETIMEDOUT: the server has not let us in within 10000 ms');
    expect(clock.timers).to.equal(0);
  });
});
