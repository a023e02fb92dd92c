import type { Socket } from 'node:net';
import { oneLine } from '../../base/one-line.js';
import type { Inbound } from '../inbound.js';
import { HandshakeFlag, Info, magic, maxPayload, maxString, Option, OptionReply } from '../protocol.js';
import { NbdError, protocolError } from './error.js';

/** What a server says of an export, and how it is going to answer. Sizes in bytes. */
export interface ExportInfo {
  readonly size: number;
  /** NBD_FLAG_ */
  readonly flags: number;
  /** Offsets and lengths are multiples of this: a power of two. */
  readonly minBlock: number;
  /** Most that one read or write is for. */
  readonly maxPayload: number;
  /** Replies to reads come in chunks. */
  readonly structured: boolean;
}

/** Both ends of a connection that is being negotiated. */
export interface Line {
  readonly socket: Socket;
  readonly inbound: Inbound;
}

/** Longest answer to an option that a server has a reason for: a name or a text, and what stands beside it. */
const maxReply = maxString + 64;

/** Reads the greeting and answers it. @throws NbdError when the server is no NBD server of the fixed newstyle */
export async function greet({ socket, inbound }: Line): Promise<void> {
  const greeting = await inbound.take(18);
  if (greeting.readBigUInt64BE(0) !== magic.nbd) throw protocolError('it greets with something else');
  if (greeting.readBigUInt64BE(8) !== magic.option)
    throw new NbdError('EPROTONOSUPPORT', 'the server knows the old style of negotiation only');
  const flags = greeting.readUInt16BE(16);
  if (!(flags & HandshakeFlag.fixedNewstyle))
    throw new NbdError('EPROTONOSUPPORT', 'the server does not know the fixed newstyle negotiation');
  const answer = Buffer.alloc(4);
  answer.writeUInt32BE(flags & (HandshakeFlag.fixedNewstyle | HandshakeFlag.noZeroes));
  socket.write(answer);
}

/** Asks for encryption: after it, the next byte each way is TLS's. @throws NbdError */
export async function askForTls(line: Line): Promise<void> {
  sendOption(line, Option.startTls);
  const { type, data } = await readReply(line, Option.startTls);
  if (type !== OptionReply.ack)
    throw new NbdError('EPROTONOSUPPORT', `the server has no TLS, which nbds: asks for${said(data)}`);
  // What came in the clear before encryption would be taken for what came after it.
  if (line.socket.readableLength > 0) throw protocolError('it speaks before TLS has begun');
}

/** Chooses the export, and goes over to transmission. @throws NbdError */
export async function enterExport(line: Line, exportName: string): Promise<ExportInfo> {
  sendOption(line, Option.structuredReply);
  const answer = await readReply(line, Option.structuredReply);
  if (answer.type === OptionReply.errTlsRequired) throw refusal(answer.type, answer.data, exportName);
  const structured = answer.type === OptionReply.ack;

  const name = Buffer.from(exportName);
  const data = Buffer.alloc(4 + name.length + 4);
  data.writeUInt32BE(name.length);
  name.copy(data, 4);
  data.writeUInt16BE(1, 4 + name.length);
  data.writeUInt16BE(Info.blockSize, 6 + name.length);
  sendOption(line, Option.go, data);
  return readExport(line, exportName, structured);
}

/** The answers to NBD_OPT_GO. @throws NbdError */
async function readExport(line: Line, exportName: string, structured: boolean): Promise<ExportInfo> {
  let size: number | undefined;
  let flags = 0;
  let [minBlock, most] = [1, maxPayload];
  for (;;) {
    const { type, data } = await readReply(line, Option.go);
    if (type === OptionReply.ack) break;
    if (type !== OptionReply.info || data.length < 2) throw refusal(type, data, exportName);
    const info = data.readUInt16BE(0);
    if (info === Info.export) {
      if (data.length !== 12) throw protocolError(`${data.length} bytes of NBD_INFO_EXPORT`);
      size = Number(data.readBigUInt64BE(2));
      flags = data.readUInt16BE(10);
    } else if (info === Info.blockSize) {
      if (data.length !== 14) throw protocolError(`${data.length} bytes of NBD_INFO_BLOCK_SIZE`);
      minBlock = data.readUInt32BE(2);
      most = Math.min(data.readUInt32BE(10), maxPayload);
    }
  }
  if (size === undefined) throw protocolError('it does not say how large the export is');
  if (!Number.isSafeInteger(size)) throw new NbdError('EFBIG', `the export has ${size} bytes, more than 2^53`);
  if (minBlock > 65536 || (minBlock & (minBlock - 1)) !== 0 || minBlock === 0 || most < minBlock)
    throw protocolError(`blocks of at least ${minBlock} and at most ${most} bytes`);
  return { size, flags, minBlock, maxPayload: most, structured };
}

function sendOption({ socket }: Line, option: number, data = Buffer.alloc(0)): void {
  const header = Buffer.alloc(16);
  header.writeBigUInt64BE(magic.option);
  header.writeUInt32BE(option, 8);
  header.writeUInt32BE(data.length, 12);
  socket.write(Buffer.concat([header, data]));
}

async function readReply({ inbound }: Line, option: number): Promise<{ type: number; data: Buffer }> {
  const header = await inbound.take(20);
  if (header.readBigUInt64BE(0) !== magic.optionReply || header.readUInt32BE(8) !== option)
    throw protocolError(`it does not answer option ${option}`);
  const length = header.readUInt32BE(16);
  if (length > maxReply) throw protocolError(`an answer of ${length} bytes to option ${option}`);
  return { type: header.readUInt32BE(12), data: await inbound.take(length) };
}

const refusals: Record<number, [code: string, why: string]> = {
  [OptionReply.errUnsup]: ['EPROTONOSUPPORT', 'the server does not know NBD_OPT_GO'],
  [OptionReply.errPolicy]: ['EACCES', 'the server does not let us have the export'],
  [OptionReply.errInvalid]: ['EINVAL', 'the server finds the name of the export wrong'],
  [OptionReply.errPlatform]: ['EPROTONOSUPPORT', 'the server cannot have the export on its platform'],
  [OptionReply.errTlsRequired]: ['EACCES', 'the server wants TLS: nbds: or nbds+unix:'],
  [OptionReply.errUnknown]: ['ENOENT', 'the server has no such export'],
  [OptionReply.errShutdown]: ['ESHUTDOWN', 'the server is shutting down'],
  [OptionReply.errBlockSizeRequired]: ['EINVAL', 'the server wants other block sizes'],
};

function refusal(type: number, data: Buffer, exportName: string): NbdError {
  const known = refusals[type];
  if (!known) return protocolError(`an answer of type ${type} to NBD_OPT_GO`);
  return new NbdError(known[0], `${known[1]} ('${exportName}')${said(data)}`);
}

/** The text that came with an error, as far as a line of ours may hold it. */
export function said(data: Buffer): string {
  const text = oneLine(data.toString());
  return text === '' ? '' : `; it says: ${text.slice(0, 200)}`;
}
