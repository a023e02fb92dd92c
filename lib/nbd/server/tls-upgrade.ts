import type { Duplex } from 'node:stream';
import { createServer, type TlsOptions } from 'node:tls';
import { TlsError } from '../tls.js';

/** Begins TLS on a connection and resolves to what to talk over from now on. @throws the error of the handshake */
export type TlsUpgrade = (socket: Duplex) => Promise<Duplex>;

/** @see serverCredentials. @throws TlsError when the credentials do not fit together */
export function tlsUpgrade(credentials: TlsOptions): TlsUpgrade {
  try {
    // To hear of it now. Each connection has a server of its own then: only a server judges certificates, and tells of one socket at a time.
    createServer(credentials);
  } catch (cause) {
    throw new TlsError(`the certificate or its key cannot be used: ${(cause as Error).message}`, { cause });
  }
  return (socket) =>
    new Promise((resolve, reject) => {
      const server = createServer({ ...credentials, allowHalfOpen: true });
      server.once('secureConnection', (secured) => {
        // Who reads from it will see that it is over.
        secured.on('error', () => {});
        resolve(secured);
      });
      server.once('tlsClientError', (error, secured) => {
        secured.destroy();
        reject(error);
      });
      server.emit('connection', socket);
    });
}
