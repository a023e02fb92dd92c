import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
import { readSecretText, secretOfHex } from '../base/secret.js';

/** Where credentials lie, in the layout that nbdkit, libnbd and QEMU share. */
export interface TlsFiles {
  /** A folder of PEM files: ca-cert, server-cert and server-key, client-cert and client-key; each end needs the first and its own. */
  certificates?: string;
  /** Lines `user:hexkey`, as GnuTLS's psktool writes them. */
  psk?: string;
}

/** Credentials that cannot be used: what, and where. */
export class TlsError extends Error {
  override readonly name = 'TlsError';
}

/** GnuTLS's clients and servers with a key and no certificate agree on one of these: TLS 1.3's with a key exchange, 1.2's then. */
const pskCiphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-PSK-CHACHA20-POLY1305',
  'ECDHE-PSK-AES128-CBC-SHA256',
];
const minVersion = 'TLSv1.2';

/**
 * What a server shows. With both kinds of credentials a client may come with either; with `verifyPeer` one that has no key needs a
 * certificate that our CA has signed. @throws TlsError
 */
export async function serverCredentials({ certificates, psk }: TlsFiles, verifyPeer = false): Promise<TlsOptions> {
  const options: TlsOptions = { minVersion };
  if (certificates !== undefined) {
    options.ca = pem(certificates, 'ca-cert');
    options.cert = pem(certificates, 'server-cert');
    options.key = pem(certificates, 'server-key');
    options.requestCert = verifyPeer;
    options.rejectUnauthorized = verifyPeer;
  }
  if (psk !== undefined) {
    const keys = readPskFile(psk);
    options.ciphers = ciphersWith(certificates);
    options.pskCallback = (_socket, user) => keys.get(user) ?? null;
  }
  return options;
}

/**
 * What a client shows: with `psk` the key of `user`; else a certificate, if there is one, and the CA that the server's has to be signed by.
 * @throws TlsError
 */
export async function clientCredentials({ certificates, psk }: TlsFiles, user: string): Promise<ConnectionOptions> {
  const options: ConnectionOptions = { minVersion };
  if (certificates !== undefined) {
    options.ca = pem(certificates, 'ca-cert');
    if (existsSync(join(certificates, 'client-cert.pem'))) {
      options.cert = pem(certificates, 'client-cert');
      options.key = pem(certificates, 'client-key');
    }
  }
  if (psk !== undefined) {
    const key = readPskFile(psk).get(user);
    if (!key) throw new TlsError(`${psk}: it has no key of user '${user}'`);
    options.ciphers = ciphersWith(certificates);
    options.pskCallback = () => ({ identity: user, psk: key });
    // The key is the server's proof. A certificate is none: with TLS 1.3 anyone could come with one that some public CA has signed.
    if (certificates === undefined) Object.assign(options, { ca: [], checkServerIdentity: () => undefined });
  }
  return options;
}

function ciphersWith(certificates: string | undefined): string {
  return [...pskCiphers, ...(certificates === undefined ? [] : ['DEFAULT'])].join(':');
}

function pem(folder: string, name: string): string {
  return readText(join(folder, `${name}.pem`));
}

/** The keys of the users. @throws TlsError, which repeats no key */
function readPskFile(path: string): Map<string, Buffer> {
  const keys = new Map<string, Buffer>();
  for (const [index, line] of readText(path).split(/\r?\n/).entries()) {
    if (line === '' || line.startsWith('#')) continue;
    const [, user, hex] = /^([^:]+):((?:[0-9a-f]{2})+)$/i.exec(line) ?? [];
    if (user === undefined) throw new TlsError(`${path}, line ${index + 1}: expected user:key, the key in hex`);
    keys.set(user, secretOfHex(hex!));
  }
  if (keys.size === 0) throw new TlsError(`${path}: it has no keys`);
  return keys;
}

function readText(path: string): string {
  try {
    return readSecretText(path);
  } catch (cause) {
    throw new TlsError((cause as Error).message, { cause });
  }
}
