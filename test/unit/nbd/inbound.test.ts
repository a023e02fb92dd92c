import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { Disconnected, Inbound } from '../../../lib/nbd/inbound.js';

describe('what comes in on an NBD connection', () => {
  it('comes in the lengths that are asked for, whatever the pieces are', async () => {
    const socket = new PassThrough();
    const inbound = new Inbound(socket);
    const first = inbound.take(5);
    for (const piece of ['a', 'bc', 'defgh', 'ij']) socket.write(piece);
    expect((await first).toString()).to.equal('abcde');
    const lengths: number[] = [];
    await inbound.skip(3, (length) => lengths.push(length));
    expect(lengths.reduce((sum, length) => sum + length)).to.equal(3);
    expect((await inbound.take(2)).toString()).to.equal('ij');
    socket.end();
    expect(await inbound.ended()).to.equal(true);
  });

  it('ends with the other side, in the middle of a message as an error', async () => {
    const socket = new PassThrough();
    const inbound = new Inbound(socket);
    socket.end('abc');
    expect(await inbound.ended()).to.equal(false);
    const error = await inbound.take(4).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(Disconnected);
  });

  it('what a socket still holds that has been given up is of no use', async () => {
    const socket = new PassThrough();
    const inbound = new Inbound(socket);
    socket.write('abcd');
    await inbound.take(1);
    expect(socket.readableLength).to.equal(3);
    socket.destroy();
    const error = await inbound.take(2).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(Disconnected);
  });
});
