import {
  AllocationState,
  magic,
  NbdErrno,
  ReplyFlag,
  ReplyType,
  simpleReplyBytes,
  structuredReplyBytes,
} from '../protocol.js';
import type { Extent } from './export.js';
import type { Request } from './request.js';

/** Why a request failed, as its client is told. */
export interface Failure {
  code: keyof typeof NbdErrno;
  /** For a person; empty where the code says it all. */
  why: string;
  /** Byte of the export, within the request, that failed first. */
  offset?: number;
}

/** Writes replies in the form that was agreed upon: structured ones or simple ones. */
export class ReplyEncoder {
  readonly structured: boolean;

  constructor(structured: boolean) {
    this.structured = structured;
  }

  /** That it was done. */
  done(request: Request): Buffer {
    return this.structured ? chunk(request, ReplyType.none, 0, 0) : simple(request, 0);
  }

  /** What stands before the data of a read that has succeeded; with structured replies it may be a part, which is not the last. */
  data(request: Request, isLast = true): Buffer {
    // A chunk of data has at least one byte.
    if (!this.structured || request.length === 0) return this.done(request);
    const head = chunk(request, ReplyType.offsetData, 8, request.length);
    if (!isLast) head.writeUInt16BE(0, 4);
    writeOffset(head, request.offset, structuredReplyBytes);
    return head;
  }

  /** What the first extents of `base:allocation`, whose id this is, are like. Only where structured replies were agreed upon. */
  allocation(request: Request, context: number, extents: readonly Extent[]): Buffer {
    const reply = chunk(request, ReplyType.blockStatus, 4 + 8 * extents.length);
    let at = reply.writeUInt32BE(context, structuredReplyBytes);
    for (const { length, hole } of extents) {
      at = reply.writeUInt32BE(length, at);
      at = reply.writeUInt32BE(hole ? AllocationState.hole | AllocationState.zero : 0, at);
    }
    return reply;
  }

  failed(request: Request, { code, why, offset }: Failure): Buffer {
    const errno = NbdErrno[code];
    if (!this.structured) return simple(request, errno);
    const length = Buffer.byteLength(why);
    const type = offset === undefined ? ReplyType.error : ReplyType.errorOffset;
    const reply = chunk(request, type, 6 + length + (offset === undefined ? 0 : 8));
    reply.writeUInt32BE(errno, structuredReplyBytes);
    reply.writeUInt16BE(length, structuredReplyBytes + 4);
    reply.write(why, structuredReplyBytes + 6);
    if (offset !== undefined) writeOffset(reply, offset, structuredReplyBytes + 6 + length);
    return reply;
  }
}

function simple({ cookieHigh, cookieLow }: Request, errno: number): Buffer {
  const reply = Buffer.allocUnsafe(simpleReplyBytes);
  reply.writeUInt32BE(magic.simpleReply, 0);
  reply.writeUInt32BE(errno, 4);
  reply.writeUInt32BE(cookieHigh, 8);
  reply.writeUInt32BE(cookieLow, 12);
  return reply;
}

/** The last chunk of a reply, with `room` for what it begins with; `more` bytes of it are not in the buffer. */
function chunk({ cookieHigh, cookieLow }: Request, type: number, room: number, more = 0): Buffer {
  const reply = Buffer.allocUnsafe(structuredReplyBytes + room);
  reply.writeUInt32BE(magic.structuredReply, 0);
  reply.writeUInt16BE(ReplyFlag.done, 4);
  reply.writeUInt16BE(type, 6);
  reply.writeUInt32BE(cookieHigh, 8);
  reply.writeUInt32BE(cookieLow, 12);
  reply.writeUInt32BE(room + more, 16);
  return reply;
}

function writeOffset(reply: Buffer, offset: number, at: number): void {
  reply.writeUInt32BE(Math.floor(offset / 2 ** 32), at);
  reply.writeUInt32BE(offset % 2 ** 32, at + 4);
}
