import { readFileSync, readlinkSync } from 'node:fs';
import type { AddressInfo } from 'node:net';

/** Where a server listens: the path of a socket, or an address and a port. */
export type Address = { path: string } | { host: string; port: number };

/** Of a server that listens. Node knows no path of a Unix socket that somebody else has opened: the kernel does. */
export function addressOf(listening: AddressInfo | string | null, fd?: number): Address {
  if (listening === null) return { path: pathOf(fd!) };
  return typeof listening === 'string' ? { path: listening } : { host: listening.address, port: listening.port };
}

/** By its inode, in proc_net_unix(5)'s last two columns. An unnamed or abstract socket is reachable by no URI: empty. */
function pathOf(fd: number): string {
  const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`)) ?? [];
  const [, path = ''] =
    new RegExp(`^(?:\\S+ +){6}${inode} (/.*)$`, 'm').exec(readFileSync('/proc/net/unix', 'utf8')) ?? [];
  return path;
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
