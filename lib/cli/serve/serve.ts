import { resolve } from 'node:path';
import type { Device } from '../../dm/device.js';
import { openTable } from '../../dm/open-table.js';
import { parseTable } from '../../dm/table.js';
import { targetTypes } from '../../dm/targets/index.js';
import { defaultPort } from '../../nbd/protocol.js';
import { type Address, exportUri, isLocal } from '../../nbd/server/address.js';
import type { Export } from '../../nbd/server/export.js';
import type { ListenOn } from '../../nbd/server/listen.js';
import { NbdServer, type NbdServerOptions } from '../../nbd/server/server.js';
import { activatedSockets } from '../../nbd/server/socket-activation.js';
import { tlsUpgrade } from '../../nbd/server/tls-upgrade.js';
import { serverCredentials } from '../../nbd/tls.js';
import { algOptions, runOptions } from '../alg-options.js';
import { BlockLog } from '../block-log.js';
import { CliError, type Command, type Invocation } from '../command.js';
import { describeReconnection } from '../device-events.js';
import { Exit } from '../exit.js';
import { integerOption, oneOf, stringOption } from '../option-values.js';
import { untilTold } from '../stop-signals.js';
import { tableText } from '../table-option.js';

async function run(invocation: Invocation): Promise<number> {
  const [more] = invocation.positionals;
  if (more !== undefined) throw new CliError(`expected no files, got '${more}'; see 'dmalg serve --help'`);
  // A server outlives its terminal.
  process.stderr.on('error', () => {});
  const places = listenOn(invocation);
  const tls = await tlsOption(invocation);
  const limits = {
    maxClients: integerOption(invocation, 'max-clients', 256, 1, 65536),
    memory: integerOption(invocation, 'memory', 64, 32, 65536) * 2 ** 20,
  };
  const exports = await openExports(invocation);
  try {
    const server = new NbdServer({ exports, ...limits, ...(tls && { tls }), log });
    await untilTold(async (told) => {
      try {
        const addresses = await listenEverywhere(server, places);
        if (!tls?.required && !addresses.every(isLocal))
          log('warning: other machines can use this without TLS; --tls require keeps them out');
        const link = ({ name }: Export) => addresses.map((address) => exportUri(address, name, tls !== undefined));
        process.stdout.write(`${exports.flatMap(link).join('\n')}\n`);
        await told;
      } finally {
        await server.close();
      }
    });
    for (const { readOnly, backing } of exports) if (!readOnly) await backing.flush();
  } finally {
    for (const { backing } of exports) await backing.close();
    for (const { blocks } of exports) blocks.end();
  }
  return Exit.done;
}

function log(line: string): void {
  process.stderr.write(`dmalg: ${line}\n`);
}

/** The sockets of the service manager, or one of our own. @throws CliError */
function listenOn(invocation: Invocation): ListenOn[] {
  const path = stringOption(invocation, 'socket');
  const hasPort = invocation.values.port !== undefined;
  const host = stringOption(invocation, 'host');
  const activated = activatedSockets(process.env, process.pid);
  if (activated.length > 0) {
    if (path !== undefined || hasPort || host !== undefined)
      throw new CliError(
        '--socket, --port, --host: the service manager has given the sockets (LISTEN_FDS); leave them out',
      );
    return activated.map((fd) => ({ fd }));
  }
  if (path !== undefined && (hasPort || host !== undefined))
    throw new CliError('--socket and --port: expected one of them, got both');
  if (path !== undefined) {
    if (path === '' || Buffer.byteLength(path) > longestPath)
      throw new CliError(`--socket: expected a path of 1 to ${longestPath} bytes, got ${Buffer.byteLength(path)}`);
    return [{ path }];
  }
  if (!hasPort && host === undefined) throw new CliError("--socket or --port is missing; see 'dmalg serve --help'");
  return [{ host: host ?? '127.0.0.1', port: integerOption(invocation, 'port', defaultPort, 0, 65535) }];
}

/** Of struct sockaddr_un; a longer one would be cut off in silence. */
const longestPath = 107;

async function listenEverywhere(server: NbdServer, places: readonly ListenOn[]): Promise<Address[]> {
  const addresses: Address[] = [];
  for (const place of places)
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

/** Credentials alone ask for TLS, and for nothing without it. @throws CliError, TlsError */
async function tlsOption(invocation: Invocation): Promise<NbdServerOptions['tls']> {
  const certificates = stringOption(invocation, 'tls-certs');
  const psk = stringOption(invocation, 'tls-psk');
  const verifyPeer = invocation.values['tls-verify-peer'] === true;
  const hasSome = certificates !== undefined || psk !== undefined;
  const mode = oneOf(invocation, 'tls', hasSome ? ['require', 'allow', 'off'] : ['off', 'allow', 'require']);
  if (mode === 'off') return undefined;
  if (!hasSome) throw new CliError(`--tls ${mode}: --tls-certs or --tls-psk is missing`);
  if (verifyPeer && certificates === undefined) throw new CliError('--tls-verify-peer: --tls-certs is missing');
  const files = { ...(certificates !== undefined && { certificates }), ...(psk !== undefined && { psk }) };
  return { upgrade: tlsUpgrade(await serverCredentials(files, verifyPeer)), required: mode === 'require' };
}

interface ServedExport extends Export {
  backing: Device;
  blocks: BlockLog;
}

/** Opens the tables. @throws CliError, and what openTable throws */
async function openExports(invocation: Invocation): Promise<ServedExport[]> {
  const values = (invocation.values.table as string[] | undefined) ?? [];
  if (values.length === 0) throw new CliError("--table is missing; see 'dmalg serve --help'");
  const named = values.map(parseExport);
  const twice = named.find(({ name }, index) => named.findIndex((other) => other.name === name) !== index);
  if (twice) throw new CliError(`--table: two are called '${twice.name}'; --table NAME=LINE gives a name`);
  const options = { ...runOptions(invocation), direct: invocation.values.direct === true };
  const exports: ServedExport[] = [];
  try {
    for (const { name, table } of named) {
      const text = tableText(table);
      const isReadOnly = ({ type }: { type: string }) => targetTypes.find((target) => target.name === type)?.readOnly;
      const readOnly = invocation.values['read-only'] === true || parseTable(text).some(isReadOnly);
      const prefix = name === '' ? '' : `export '${name}': `;
      const blocks = new BlockLog((line) => log(prefix + line));
      const backing = await openTable(text, {
        ...options,
        readOnly,
        onEvent: (event) => blocks.add(event),
        nbd: { onReconnect: (event) => log(prefix + describeReconnection(event)) },
      });
      exports.push({ name, readOnly, backing, blocks });
    }
    return exports;
  } catch (error) {
    for (const { backing } of exports) await backing.close();
    throw error;
  }
}

/**
 * `NAME=LINE`, `NAME=@FILE`, or without a name the default export. A line begins with two numbers, a comment with # and a file with @, so that
 * what stands before the first = of one is never a name.
 */
function parseExport(value: string): { name: string; table: string } {
  const [, name, table] = /^(?!\s*\d+\s+\d+\s)([^\s=@#][^=\p{Cc}]*)=(.*)$/su.exec(value) ?? [];
  return name === undefined ? { name: '', table: value } : { name, table: table! };
}

const { provider, engine } = algOptions;

export const serve: Command = {
  name: 'serve',
  usage: '--table [NAME=]LINE|@FILE ... (--socket PATH | --port N [--host ADDRESS]) [options]',
  summary: 'Serves device-mapper tables to NBD clients: qemu, libnbd, nbdkit, fio, the kernel.',
  details: [
    'Prints the URI of each export when clients can come, and runs until SIGTERM or SIGINT: requests in flight are answered then, and the',
    'exports are flushed. A second signal does not wait. SIGHUP changes nothing. What could not be read or verified, and clients that were cut',
    'off, are lines on stderr; the client of such a read gets EIO. In the end reads of bad blocks are counted.',
    '',
    "Tables are those of 'dmalg dm'. A table with a verity line is served read-only. --table may be given several times: NAME=LINE or NAME=@FILE",
    'is the export NAME, one without a name is the default export. All clients of an export share one device, so that a flush on one',
    'connection covers the finished writes of all (multi-conn).',
    '',
    'Sockets of systemd (LISTEN_FDS) are taken instead of --socket and --port. A socket file that a dead server has left is replaced; where',
    'a server is alive, the status is 5.',
    '',
    'With --tls-certs or --tls-psk clients have to use TLS; --tls allow leaves it to them. Certificates lie as nbdkit, libnbd and QEMU have them:',
    'ca-cert.pem, server-cert.pem, server-key.pem. A PSK file has lines user:hexkey, as psktool writes them.',
  ].join('\n'),
  options: {
    table: {
      type: 'string',
      multiple: true,
      value: '[NAME=]LINE',
      help: 'a table, or @FILE that holds it, which keeps keys out of the process list',
    },
    socket: { type: 'string', value: 'PATH', help: 'listen on this Unix socket' },
    port: { type: 'string', value: 'N', help: `listen on this TCP port; 0 takes a free one (default: ${defaultPort})` },
    host: { type: 'string', value: 'ADDRESS', help: 'of this address (default: 127.0.0.1)' },
    'read-only': { type: 'boolean', help: 'serve all tables read-only' },
    tls: { type: 'string', value: 'MODE', help: 'off, allow or require (default: require with credentials, else off)' },
    'tls-certs': { type: 'string', value: 'DIR', help: 'certificates of the server and its CA' },
    'tls-psk': { type: 'string', value: 'FILE', help: 'users and their keys' },
    'tls-verify-peer': { type: 'boolean', help: "clients have to have a certificate of the CA's, or a key" },
    'max-clients': {
      type: 'string',
      value: 'N',
      help: 'clients at a time; then the one idle for longest gives way (default: 256)',
    },
    memory: {
      type: 'string',
      value: 'MIB',
      help: 'for requests in flight, beside 64 KiB a client; 32 or more (default: 64)',
    },
    direct: { type: 'boolean', help: 'read and write files past the page cache (O_DIRECT); not every file system can' },
    provider: provider!,
    engine: engine!,
  },
  run,
};
