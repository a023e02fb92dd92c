import { once } from 'node:events';
import { lstatSync, rmSync } from 'node:fs';
import { connect, type ListenOptions, type Server } from 'node:net';

/** A path, a port of an address, or a listening socket that was opened before. */
export type ListenOn = { path: string } | { host: string; port: number } | { fd: number };

/**
 * Listens. The socket file that a dead server has left is replaced. @throws the error of the system, its `code` EADDRINUSE where somebody
 * listens already, or a path is something else than a socket
 */
export async function listen(server: Server, on: ListenOn): Promise<void> {
  try {
    await attempt(server, on);
  } catch (error) {
    const isStale = (error as NodeJS.ErrnoException).code === 'EADDRINUSE' && 'path' in on && (await isDead(on.path));
    if (!isStale) throw error;
    rmSync(on.path, { force: true });
    await attempt(server, on);
  }
}

async function attempt(server: Server, on: ListenOptions | { fd: number }): Promise<void> {
  server.listen(on);
  await once(server, 'listening');
}

/** Whether it is a socket that nobody listens on. */
async function isDead(path: string): Promise<boolean> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return false;
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
  } finally {
    socket.destroy();
  }
}
