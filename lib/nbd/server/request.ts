import { Command, CommandFlag, magic, maxPayload, type NbdErrno } from '../protocol.js';
import type { Agreement } from './agreement.js';

/** A peer that breaks the protocol so that nothing it says afterwards has a meaning. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

export interface Request {
  command: number;
  flags: number;
  /** The client's name for it, which its reply repeats: 64 bits in two halves. */
  cookieHigh: number;
  cookieLow: number;
  /** Bytes; inexact above 2^53, where no export reaches. */
  offset: number;
  length: number;
}

/** Reads the 28 bytes before a request's data. @throws ProtocolError when they are none */
export function parseRequest(bytes: Buffer): Request {
  if (bytes.readUInt32BE(0) !== magic.request)
    throw new ProtocolError('a request does not begin with its magic number');
  return {
    flags: bytes.readUInt16BE(4),
    command: bytes.readUInt16BE(6),
    cookieHigh: bytes.readUInt32BE(8),
    cookieLow: bytes.readUInt32BE(12),
    offset: bytes.readUInt32BE(16) * 2 ** 32 + bytes.readUInt32BE(20),
    length: bytes.readUInt32BE(24),
  };
}

/** Bytes of data that follow a request on the wire. */
export function payloadLength({ command, length }: Request): number {
  return command === Command.write ? length : 0;
}

/** Why a request is answered with an error at once. */
export interface Refusal {
  code: keyof typeof NbdErrno;
  why: string;
}

/** Flags of each command. FUA may come with any. */
const flagsOf: Record<number, number> = {
  [Command.read]: CommandFlag.df,
  [Command.write]: 0,
  [Command.flush]: 0,
  [Command.trim]: 0,
  [Command.writeZeroes]: CommandFlag.noHole,
  [Command.blockStatus]: CommandFlag.reqOne,
};

const changing: readonly number[] = [Command.write, Command.trim, Command.writeZeroes];

/** Undefined where the export can be asked. */
export function refusal(
  request: Request,
  { export: { readOnly, backing }, ...agreed }: Agreement,
): Refusal | undefined {
  const { command, flags, offset, length } = request;
  const allowed = flagsOf[command];
  const invalid = (why: string): Refusal => ({ code: 'EINVAL', why });
  if (allowed === undefined) return invalid('the command is not known');
  if (flags & ~(allowed | CommandFlag.fua))
    return invalid('a flag of the request is not known, or not for this command');
  if (flags & CommandFlag.df && !agreed.structured) return invalid('DF without structured replies');
  if (command === Command.blockStatus && !agreed.allocation) return invalid('no metadata context was agreed upon');
  if (readOnly && changing.includes(command)) return { code: 'EPERM', why: 'the export is read-only' };
  if (command === Command.flush) return offset || length ? invalid('a flush has no offset and no length') : undefined;
  if (command === Command.blockStatus && length === 0) return invalid('the block status of no bytes');
  if (offset + length > backing.size) {
    const isWrite = command === Command.write || command === Command.writeZeroes;
    return { code: isWrite ? 'ENOSPC' : 'EINVAL', why: 'the request goes past the end of the export' };
  }
  const carries = command === Command.read || command === Command.write;
  return carries && length > maxPayload ? invalid(`the request is longer than ${maxPayload} bytes`) : undefined;
}
