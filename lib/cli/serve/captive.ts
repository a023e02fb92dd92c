import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Address, exportUri } from '../../nbd/server/address.js';
import { signalStatus } from '../stop-signals.js';
import { log } from './log.js';

/**
 * Runs a command of the shell that uses the server, until it ends or, when we are `told` to end, is asked to by SIGTERM. It has the variables of
 * nbdkit-captive(1): uri, unixsocket, port, exportname. @returns its status, or the one that a shell gives to a command killed by a signal
 */
export async function runCaptive(
  command: string,
  { address, name, tls }: { address: Address; name: string; tls: boolean },
  told: Promise<void>,
): Promise<number> {
  const place =
    'path' in address ? { unixsocket: address.path, port: '' } : { unixsocket: '', port: `${address.port}` };
  const env = { ...process.env, uri: exportUri(address, name, tls), exportname: name, ...place };
  const child = spawn('/bin/sh', ['-c', command], { stdio: 'inherit', env });
  void told.then(() => child.kill('SIGTERM'));
  const [status, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  if (signal === null) return status!;
  log(`the command was killed by ${signal}`);
  return signalStatus(signal);
}
