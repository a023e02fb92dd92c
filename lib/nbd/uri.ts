import { rangeError } from '../base/bytes.js';
import { defaultPort, maxString } from './protocol.js';

/** Which export of which server, and how it is spoken to (doc/uri.md of the NetworkBlockDevice project). */
export interface NbdUri {
  readonly address: { readonly path: string } | { readonly host: string; readonly port: number };
  readonly exportName: string;
  /** The connection is encrypted, or fails; without it nothing is encrypted. */
  readonly tls: boolean;
  /** A folder with ca-cert.pem, and client-cert.pem and client-key.pem where the server wants to know its clients. */
  readonly tlsCertificates?: string;
  /** A file of lines `user:key`, the key in hex: encryption by a secret that both sides have. */
  readonly tlsPskFile?: string;
  /** Whose line of that file; default the user of this process. */
  readonly tlsUsername?: string;
  /** The name that the server's certificate has, where it is not the one that is connected to. */
  readonly tlsHostname?: string;
}

const schemes = ['nbd', 'nbds', 'nbd+unix', 'nbds+unix'];
const parameters = ['socket', 'tls-certificates', 'tls-psk-file', 'tls-username', 'tls-hostname'];

/** Whether this is meant as an NBD URI, a right one or not. */
export function isNbdUri(text: string): boolean {
  return /^nbds?(\+[a-z]+)?:/i.test(text);
}

/** Reads `nbd[s]://[user@]host[:port]/NAME` or `nbd[s]+unix:///NAME?socket=PATH`, as libnbd does. @throws RangeError saying what is wrong */
export function parseNbdUri(text: string): NbdUri {
  const match = /^([a-z+]+):\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(text);
  if (!match) throw rangeError('expected nbd://HOST[:PORT]/NAME or nbd+unix:///NAME?socket=PATH, without a fragment');
  const [, spelled = '', authority = '', name = '', query = ''] = match;
  const scheme = spelled.toLowerCase();
  if (!schemes.includes(scheme)) throw rangeError(`expected a scheme of ${schemes.join(', ')}, got '${scheme}'`);
  const exportName = decode(name, 'the export name');
  if (exportName.includes('\0') || Buffer.byteLength(exportName) > maxString)
    throw rangeError(`the export name: expected at most ${maxString} bytes and no NUL`);
  const given = parseQuery(query);
  const [, user, server = ''] = /^(?:([^@]*)@)?(.*)$/s.exec(authority)!;
  if (user !== undefined) {
    if (given.has('tls-username')) throw rangeError('the user: expected user@ or tls-username, got both');
    if (user.includes(':')) throw rangeError('the user: expected a name alone; a URI is no place for a password');
    given.set('tls-username', decode(user, 'the user'));
  }
  const socket = given.get('socket');
  const isUnix = scheme.endsWith('+unix');
  if (isUnix && !socket) throw rangeError(`${scheme}: expected a parameter socket=PATH`);
  if (isUnix && server) throw rangeError(`${scheme}: expected three slashes and no host, got '${server}'`);
  if (!isUnix && socket !== undefined) throw rangeError(`${scheme}: socket= is for ${scheme}+unix`);
  return {
    address: isUnix ? { path: socket! } : parseServer(server),
    exportName,
    ...tlsFields(scheme.startsWith('nbds'), given),
  };
}

function tlsFields(tls: boolean, given: Map<string, string>): Omit<NbdUri, 'address' | 'exportName'> {
  const names = [...given.keys()].filter((name) => name.startsWith('tls-'));
  if (!tls && names.length) throw rangeError(`${names[0]}: only nbds: and nbds+unix: are encrypted`);
  if (given.has('tls-certificates') && given.has('tls-psk-file'))
    throw rangeError('expected tls-certificates or tls-psk-file, got both');
  const [tlsCertificates, tlsPskFile, tlsUsername, tlsHostname] = parameters.slice(1).map((name) => given.get(name));
  return {
    tls,
    ...(tlsCertificates && { tlsCertificates }),
    ...(tlsPskFile && { tlsPskFile }),
    ...(tlsUsername && { tlsUsername }),
    ...(tlsHostname && { tlsHostname }),
  };
}

function parseQuery(query: string): Map<string, string> {
  const given = new Map<string, string>();
  for (const part of query.split('&').filter(Boolean)) {
    const [, key = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(part)!;
    const name = decode(key, 'a parameter');
    if (!parameters.includes(name)) throw rangeError(`expected parameters of ${parameters.join(', ')}, got '${name}'`);
    if (given.has(name)) throw rangeError(`${name}: given twice`);
    given.set(name, decode(value, name));
  }
  return given;
}

/** `host`, `host:port`, `[IPv6]`, `[IPv6]:port`; nothing is this host. */
function parseServer(server: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:.]+(?:%25[^\]]+)?)\]|([^:[\]]*))(?::(\d*))?$/i.exec(server);
  if (!match) throw rangeError(`expected HOST:PORT, an IPv6 address in brackets, got '${server}'`);
  const [, address, name = '', digits = ''] = match;
  const port = digits === '' ? defaultPort : Number(digits);
  if (port < 1 || port > 65535) throw rangeError(`the port: expected 1 to 65535, got '${digits}'`);
  const host = decode(address ?? name, 'the host') || 'localhost';
  if (address === undefined && /[\s/:?#@[\]%]/.test(host)) throw rangeError(`the host: expected a name, got '${host}'`);
  return { host, port };
}

/** @throws RangeError where percent signs do not encode UTF-8 */
function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw rangeError(`${what}: expected UTF-8 in percent encoding, got '${text}'`);
  }
}

/** The one spelling of a URI, free of blanks and backslashes: parsing it gives the same again. */
export function formatNbdUri({ address, exportName, tls, ...fields }: NbdUri): string {
  const [scheme, server, socket] =
    'path' in address ? ['+unix', '', address.path] : ['', formatServer(address), undefined];
  const user = fields.tlsUsername === undefined ? '' : `${encodeURIComponent(fields.tlsUsername)}@`;
  const values = [socket, fields.tlsCertificates, fields.tlsPskFile, undefined, fields.tlsHostname];
  const query = parameters.flatMap((name, index) => {
    const value = values[index];
    return value === undefined ? [] : [`${name}=${encode(value)}`];
  });
  const tail = query.length ? `?${query.join('&')}` : '';
  return `nbd${tls ? 's' : ''}${scheme}://${user}${server}/${encode(exportName)}${tail}`;
}

function formatServer({ host, port }: { host: string; port: number }): string {
  const [address, ...zone] = host.split('%');
  const suffix = zone.length ? `%25${encodeURIComponent(zone.join('%'))}` : '';
  const name = host.includes(':') ? `[${address}${suffix}]` : encodeURIComponent(host);
  return port === defaultPort ? name : `${name}:${port}`;
}

/** Slashes stay, for people to read. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll('%2F', '/');
}
