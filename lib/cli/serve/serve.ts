import { writeFileSync } from 'node:fs';
import { binding } from '../../base/binding.js';
import { errnoName } from '../../crypto/error.js';
import { defaultPort } from '../../nbd/protocol.js';
import { exportUri, isLocal } from '../../nbd/server/address.js';
import { NbdServer, type NbdServerOptions } from '../../nbd/server/server.js';
import { tlsUpgrade } from '../../nbd/server/tls-upgrade.js';
import { serverCredentials } from '../../nbd/tls.js';
import { algOptions } from '../alg-options.js';
import { CliError, type Command, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { integerOption, oneOf, stringOption } from '../option-values.js';
import { untilTold } from '../stop-signals.js';
import { runCaptive } from './captive.js';
import { openExports, type ServedExport } from './exports.js';
import { log } from './log.js';
import { choosePlaces, listenEverywhere, type Places } from './places.js';
import { stdioClient } from './stdio.js';

async function run(invocation: Invocation): Promise<number> {
  const parent = process.ppid;
  // A server outlives its terminal.
  process.stderr.on('error', () => {});
  const stdio = invocation.positionals.includes('-');
  const storages = invocation.positionals.filter((word) => word !== '-');
  const tls = await tlsOption(invocation);
  const limits = {
    maxClients: integerOption(invocation, 'max-clients', 256, 1, 65536),
    memory: integerOption(invocation, 'memory', 64, 32, 65536) * 2 ** 20,
  };
  const places = choosePlaces(invocation, stdio);
  try {
    const exports = await openExports(invocation, storages);
    try {
      const server = new NbdServer({ exports, ...limits, ...(tls && { tls }), log });
      const status = await untilTold((told) => serve(invocation, { server, exports, places, tls, parent }, told));
      for (const { readOnly, backing } of exports) if (!readOnly) await backing.flush();
      return status;
    } finally {
      for (const { backing } of exports) await backing.close();
      for (const { blocks } of exports) blocks.end();
    }
  } finally {
    places.remove();
  }
}

interface Parts {
  server: NbdServer;
  exports: readonly ServedExport[];
  places: Places;
  tls: NbdServerOptions['tls'];
  /** Who has started this process. */
  parent: number;
}

/** Serves until it is told to end, the command that it runs ends, or its only client goes. @returns the status */
async function serve(
  invocation: Invocation,
  { server, exports, places, tls, parent }: Parts,
  told: Promise<void>,
): Promise<number> {
  try {
    if (places.on === 'stdio') {
      const client = server.serve(stdioClient());
      becomeReady(invocation, parent);
      await Promise.race([client, told]);
      return Exit.done;
    }
    const addresses = await listenEverywhere(server, places.on);
    if (!tls?.required && !addresses.every(isLocal))
      log('warning: other machines can use this without TLS; --tls require keeps them out');
    becomeReady(invocation, parent);
    const command = stringOption(invocation, 'run');
    const [first] = exports;
    if (command !== undefined)
      return await runCaptive(command, { address: addresses[0]!, name: first!.name, tls: tls !== undefined }, told);
    const uris = exports.flatMap(({ name }) => addresses.map((address) => exportUri(address, name, tls !== undefined)));
    process.stdout.write(`${uris.join('\n')}\n`);
    await told;
    return Exit.done;
  } finally {
    await server.close();
  }
}

/** Clients can come. @throws CliError */
function becomeReady(invocation: Invocation, parent: number): void {
  const path = stringOption(invocation, 'pidfile');
  if (path !== undefined)
    try {
      writeFileSync(path, `${process.pid}\n`);
    } catch (error) {
      throw new CliError(`--pidfile: ${(error as Error).message}`, Exit.device);
    }
  if (invocation.values['exit-with-parent'] !== true) return;
  const result = binding().end_with_parent();
  if (result < 0) throw new CliError(`--exit-with-parent: prctl: ${errnoName(-result).code}`, Exit.unsupported);
  // It may have ended before.
  if (process.ppid !== parent) process.kill(process.pid, 'SIGTERM');
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

const { provider, engine } = algOptions;

export const serveCommand: Command = {
  name: 'serve',
  usage:
    '[NAME=]STORAGE ... --table [NAME=]LINE|@FILE ... (--socket PATH | --port N [--host ADDRESS] | --run COMMAND | -) [options]',
  summary: 'Serves storages and device-mapper tables to NBD clients: qemu, libnbd, nbdkit, fio, the kernel.',
  details: [
    'Prints the URI of each export when clients can come, and runs until SIGTERM or SIGINT: requests in flight are answered then, and the',
    'exports are flushed. A second signal does not wait. SIGHUP changes nothing. What could not be read or verified, and clients that were cut',
    'off, are lines on stderr; the client of such a read gets EIO. In the end reads of bad blocks are counted.',
    '',
    'STORAGE is a file, a block device, ram:BYTES or an NBD URI; one that cannot be written is served read-only. NAME=STORAGE is the export NAME,',
    'one without a name is the default export. A file whose name has a = is ./FILE.',
    '',
    "Tables are those of 'dmalg dm'. A table with a verity line is served read-only. --table may be given several times: NAME=LINE or NAME=@FILE",
    'is the export NAME, one without a name is the default export. All clients of an export share one device, so that a flush on one',
    'connection covers the finished writes of all (multi-conn).',
    '',
    "--run COMMAND serves while a command of the shell runs, and ends with its status: it finds the first export's URI in $uri, and $unixsocket,",
    '$port and $exportname; without --socket and --port it has a Unix socket that only this user can reach. - serves one client on stdin and',
    'stdout: two pipes, or one socket, as libnbd, ssh and inetd give it. Nothing else is printed there then.',
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
    run: { type: 'string', value: 'COMMAND', help: 'run this, and end with it and its status' },
    pidfile: { type: 'string', value: 'FILE', help: "write the server's process number there when clients can come" },
    'exit-with-parent': { type: 'boolean', help: 'end when the process ends that has started this' },
    'read-only': { type: 'boolean', help: 'serve everything read-only' },
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
