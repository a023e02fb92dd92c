import { CommandFlag } from '../protocol.js';
import type { Backing } from './export.js';
import type { ReplyEncoder } from './reply.js';
import type { Request } from './request.js';

/** A request that is served piece by piece, as there is no memory for the whole of it. Nothing else is in flight on its connection. */
export interface Piecewise {
  request: Request;
  backing: Backing;
  /** What a piece lies in. */
  buffer: Buffer;
  /** Sends, and resolves when the bytes may be changed. */
  send(parts: readonly Uint8Array[]): Promise<void>;
}

/**
 * Reads and sends. Structured replies have a chunk for each piece. @returns what to send last, the end of the reply
 * @throws the backing's error where it can still be told to the client; MidReplyError where it cannot
 */
export async function readInPieces(work: Piecewise, replies: ReplyEncoder): Promise<Uint8Array[]> {
  const { request, backing, buffer, send } = work;
  const isWhole = !replies.structured || (request.flags & CommandFlag.df) !== 0;
  const end = request.offset + request.length;
  for (let { offset } = request; ; ) {
    const length = pieceLength(work, offset);
    const bytes = buffer.subarray(0, length);
    try {
      await backing.read(offset, bytes);
    } catch (cause) {
      throw isWhole && offset > request.offset
        ? new MidReplyError(`a read failed after its reply had begun: ${(cause as Error).message}`, { cause })
        : cause;
    }
    const isLast = offset + length === end;
    const head = isWhole
      ? offset === request.offset
        ? [replies.data(request)]
        : []
      : [replies.data({ ...request, offset, length }, isLast)];
    if (isLast) return [...head, bytes];
    await send([...head, bytes]);
    offset += length;
  }
}

/** Receives and writes. After an error the rest is received and dropped. @throws the backing's error; Disconnected */
export async function writeInPieces(work: Piecewise, receive: (bytes: Buffer) => Promise<void>): Promise<void> {
  const { request, backing, buffer } = work;
  const end = request.offset + request.length;
  const fua = (request.flags & CommandFlag.fua) !== 0;
  let failure: { error: unknown } | undefined;
  for (let { offset } = request; offset < end; ) {
    const bytes = buffer.subarray(0, pieceLength(work, offset));
    await receive(bytes);
    if (!failure)
      await backing.write(offset, bytes, { fua }).catch((error: unknown) => {
        failure = { error };
      });
    offset += bytes.length;
  }
  if (failure) throw failure.error;
}

/** The reply has begun, and says that there is no error. */
export class MidReplyError extends Error {
  override readonly name = 'MidReplyError';
}

/** Bytes of the piece that begins there: as many as the buffer holds, up to the end of a block of the backing. */
function pieceLength({ request, backing, buffer }: Piecewise, offset: number): number {
  const left = request.offset + request.length - offset;
  if (left <= buffer.length) return left;
  const whole = Math.floor((offset + buffer.length) / backing.blockSize) * backing.blockSize - offset;
  return whole > 0 ? whole : buffer.length;
}
