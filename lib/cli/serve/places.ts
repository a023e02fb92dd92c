import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { defaultPort } from '../../nbd/protocol.js';
import type { Address } from '../../nbd/server/address.js';
import type { ListenOn } from '../../nbd/server/listen.js';
import type { NbdServer } from '../../nbd/server/server.js';
import { activatedSockets } from '../../nbd/server/socket-activation.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { integerOption, stringOption } from '../option-values.js';

/** Of struct sockaddr_un; a longer one would be cut off in silence. */
const longestPath = 107;

/** Where to listen, and what to clear away in the end. */
export interface Places {
  /** Or one client on stdin and stdout. */
  on: readonly ListenOn[] | 'stdio';
  remove(): void;
}

/**
 * The sockets of the service manager, or one of our own; for a command that is run, a Unix socket in a folder that only this user can enter.
 * @throws CliError
 */
export function choosePlaces(invocation: Invocation, stdio: boolean): Places {
  const path = stringOption(invocation, 'socket');
  const host = stringOption(invocation, 'host');
  const hasPort = invocation.values.port !== undefined || host !== undefined;
  const run = invocation.values.run !== undefined;
  const given = (on: Places['on']): Places => ({ on, remove: () => {} });
  if (stdio) {
    if (path !== undefined || hasPort || run)
      throw new CliError('-: one client on stdin and stdout; leave out --socket, --port, --host and --run');
    return given('stdio');
  }
  const activated = activatedSockets(process.env, process.pid);
  if (activated.length > 0) {
    if (path !== undefined || hasPort)
      throw new CliError(
        '--socket, --port, --host: the service manager has given the sockets (LISTEN_FDS); leave them out',
      );
    return given(activated.map((fd) => ({ fd })));
  }
  if (path !== undefined && hasPort) throw new CliError('--socket and --port: expected one of them, got both');
  if (path !== undefined) {
    if (path === '' || Buffer.byteLength(path) > longestPath)
      throw new CliError(`--socket: expected a path of 1 to ${longestPath} bytes, got ${Buffer.byteLength(path)}`);
    return given([{ path }]);
  }
  if (hasPort)
    return given([{ host: host ?? '127.0.0.1', port: integerOption(invocation, 'port', defaultPort, 0, 65535) }]);
  if (!run) throw new CliError("--socket, --port, --run or - is missing; see 'dmalg serve --help'");
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-serve-'));
  return { on: [{ path: join(folder, 'socket') }], remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** @throws CliError */
export async function listenEverywhere(server: NbdServer, on: readonly ListenOn[]): Promise<Address[]> {
  const addresses: Address[] = [];
  for (const place of on)
    try {
      const address = await server.listen(place);
      // Clients have folders of their own.
      addresses.push('path' in address ? { path: resolve(address.path) } : address);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const remedy = code === 'EADDRINUSE' ? '; is another server running?' : '';
      throw new CliError(`${message}${remedy}`, code === 'EADDRINUSE' ? Exit.busy : Exit.device);
    }
  return addresses;
}
