import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../base/clock.js';
import { Disconnected, Inbound } from '../inbound.js';
import { clientCredentials, TlsError } from '../tls.js';
import type { NbdUri } from '../uri.js';
import { NbdError } from './error.js';
import { askForTls, type ExportInfo, enterExport, greet, type Line } from './handshake.js';

export interface DialOptions {
  readonly clock: Clock;
  /** Milliseconds for all of it: the connection, TLS, the negotiation. */
  readonly connectTimeout: number;
  /** Gives up. */
  readonly signal?: AbortSignal;
}

/** Connects to a server and chooses the export. @throws NbdError */
export async function dial(uri: NbdUri, options: DialOptions): Promise<{ line: Line; info: ExportInfo }> {
  const { clock, connectTimeout, signal } = options;
  const socket = connect('path' in uri.address ? { path: uri.address.path } : { ...uri.address, noDelay: true });
  let line: Line = { socket, inbound: new Inbound(socket) };
  let isLate = false;
  const giveUp = () => socket.destroy();
  const stopTimer = clock.after(connectTimeout, () => {
    isLate = true;
    giveUp();
  });
  signal?.addEventListener('abort', giveUp);
  try {
    await opened(socket, 'connect');
    await greet(line);
    if (uri.tls) {
      await askForTls(line);
      line = await encrypt(line, uri);
    }
    return { line, info: await enterExport(line, uri.exportName) };
  } catch (cause) {
    line.socket.destroy();
    giveUp();
    if (isLate) throw new NbdError('ETIMEDOUT', `the server has not let us in within ${connectTimeout} ms`, { cause });
    throw asNbdError(cause as NodeJS.ErrnoException);
  } finally {
    stopTimer();
    signal?.removeEventListener('abort', giveUp);
  }
}

async function encrypt(line: Line, uri: NbdUri): Promise<Line> {
  const { tlsCertificates: certificates, tlsPskFile: psk, tlsUsername: user = userInfo().username } = uri;
  const credentials = await clientCredentials({ ...(certificates && { certificates }), ...(psk && { psk }) }, user);
  // Whom the certificate has to be for. An address is no name that a server could choose its certificate by.
  const host = uri.tlsHostname ?? ('host' in uri.address ? uri.address.host : 'localhost');
  line.inbound.release();
  const secure = connectTls({
    ...credentials,
    socket: line.socket,
    host,
    ...(isIP(host) === 0 && { servername: host }),
  });
  const inbound = new Inbound(secure);
  try {
    await opened(secure, 'secureConnect');
  } catch (cause) {
    throw new NbdError('EACCES', `TLS: ${(cause as Error).message}`, { cause });
  }
  return { socket: secure, inbound };
}

/** Waits for an event of a socket that may be closed before. @throws its error */
async function opened(socket: Socket, event: string): Promise<void> {
  const closed = new AbortController();
  const onClose = () => closed.abort();
  socket.once('close', onClose);
  try {
    await once(socket, event, { signal: closed.signal });
  } catch (cause) {
    throw closed.signal.aborted ? new Disconnected('the connection was closed', { cause }) : cause;
  } finally {
    socket.off('close', onClose);
  }
}

function asNbdError(cause: NodeJS.ErrnoException): NbdError {
  if (cause instanceof NbdError) return cause;
  if (cause instanceof TlsError) return new NbdError('EACCES', cause.message, { cause });
  if (cause instanceof Disconnected)
    return new NbdError('ENOTCONN', `${cause.message} by the server before it let us in`, { cause });
  // An address with several families fails with the errors of all.
  const [first] = cause instanceof AggregateError ? (cause.errors as NodeJS.ErrnoException[]) : [cause];
  return new NbdError(cause.code ?? 'EIO', first!.message.replace(/ E[A-Z]+ /, ' '), { cause });
}
