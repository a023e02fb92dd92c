import type { AddressInfo } from 'node:net';

/** Where a server listens: the path of a socket, or an address and a port. */
export type Address = { path: string } | { host: string; port: number };

/** What net.Server.address() says. */
export function addressOf(listening: AddressInfo | string): Address {
  return typeof listening === 'string' ? { path: listening } : { host: listening.address, port: listening.port };
}

/** Whether only programs of this machine can reach it. */
export function isLocal(address: Address): boolean {
  return 'path' in address || address.host === '::1' || /^(::ffff:)?127\./.test(address.host);
}

/** The NBD URI of an export, as libnbd, QEMU and nbdkit read it (NetworkBlockDevice/nbd, doc/uri.md). */
export function exportUri(address: Address, name: string, tls: boolean): string {
  const scheme = tls ? 'nbds' : 'nbd';
  const path = `/${encodeURIComponent(name)}`;
  if ('path' in address) {
    const socket = address.path.split('/').map(encodeURIComponent).join('/');
    return `${scheme}+unix://${path}?socket=${socket}`;
  }
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${scheme}://${host}:${address.port}${path}`;
}
