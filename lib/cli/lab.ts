import { spawn } from 'node:child_process';
import { fstatSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { LabError, type LabErrorCode } from '../lab/error.js';
import { hostLacksAfAlg } from '../lab/host-kernel.js';
import { listKernels } from '../lab/kernel.js';
import { runInLab } from '../lab/lab.js';
import { profiles } from '../lab/offer.js';
import { CliError, type Command, type Invocation } from './command.js';
import { Exit } from './exit.js';
import { kernelOption } from './kernel-option.js';
import { integerOption } from './option-values.js';
import { catchingSignals, signalStatus } from './stop-signals.js';

const statuses: Partial<Record<LabErrorCode, number>> = { usage: Exit.usage, offer: Exit.unsupported };

/** Whether stdin is something to pass on: not a terminal, which stays with the shell, and not /dev/null. */
function hasInput(): boolean {
  try {
    const stat = fstatSync(0);
    return stat.isFIFO() || stat.isFile() || stat.isSocket();
  } catch {
    return false;
  }
}

async function runCommand(invocation: Invocation): Promise<number> {
  const { values, positionals: command } = invocation;
  const abort = new AbortController();
  let caught: NodeJS.Signals | undefined;
  const keepLog = (log: string) => {
    if (values['keep-log'] !== undefined) writeFileSync(values['keep-log'] as string, log);
  };
  const input = hasInput() ? process.stdin : undefined;
  const options = {
    kernel: kernelOption(invocation, 'current'),
    command,
    timeout: integerOption(invocation, 'timeout', 900, 1, 86_400),
    memory: integerOption(invocation, 'memory', 4096, 256, 2 ** 20),
    cpus: integerOption(invocation, 'cpus', 2, 1, 255),
    ...(input && { stdin: input }),
    ...(values.output !== undefined && { output: values.output as string }),
    ...(values.verbose && { console: process.stderr }),
    ...(!values.quiet && { progress: (line: string) => void process.stderr.write(`dmalg: ${line}\n`) }),
    signal: abort.signal,
  };
  const stop = (signal: NodeJS.Signals) => {
    caught = signal;
    abort.abort();
  };
  try {
    const result = await catchingSignals(stop, () => runInLab(options));
    keepLog(result.kernelLog);
    if (result.kernelLogHits.length === 0) return result.status;
    for (const line of result.kernelLogHits) process.stderr.write(`dmalg: kernel log: ${line}\n`);
    const advice = `the command's exit status was ${result.status}; see the whole log with --keep-log FILE`;
    throw new CliError(`the test kernel ${result.kernelRelease} reported a fault: ${advice}`, Exit.device);
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    if (error.console) keepLog(error.console);
    if (caught && error.code === 'aborted') return signalStatus(caught);
    throw new CliError(error.message, statuses[error.code] ?? Exit.device);
  } finally {
    // An open pipe that nobody writes to would keep this process waiting.
    input?.destroy();
  }
}

/** Runs the command on the host's own kernel. */
async function runOnHost(invocation: Invocation): Promise<number> {
  const lacks = await hostLacksAfAlg();
  if (lacks) throw new CliError(lacks, Exit.unsupported);
  process.stderr.write(`dmalg: --no-lab: running on this host's kernel ${release()}\n`);
  const [program, ...args] = invocation.positionals;
  const child = spawn(program!, args, { stdio: 'inherit' });
  return catchingSignals(
    (signal) => void child.kill(signal),
    () =>
      new Promise((resolve, reject) => {
        child.on('error', (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') process.stderr.write(`dmalg: ${program}: not found\n`);
          if (error.code === 'ENOENT') resolve(127);
          else reject(new CliError(`${program}: ${error.message}`, 126));
        });
        child.on('close', (status, signal) => resolve(signal ? signalStatus(signal) : status!));
      }),
  );
}

async function list(invocation: Invocation): Promise<number> {
  const rows = await listKernels();
  if (invocation.values.json) process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
  else
    for (const row of rows) {
      const what = row.package ? `${row.package} ${row.version}${row.cached ? ' (cached)' : ''}` : row.reason;
      process.stdout.write(`${row.profile.padEnd(8)} ${what}\n`);
    }
  return rows.every((row) => row.package) ? Exit.done : Exit.unsupported;
}

async function run(invocation: Invocation): Promise<number> {
  if (invocation.values.list) return list(invocation);
  if (invocation.positionals.length === 0) throw new CliError("no command to run; see 'dmalg lab --help'");
  return invocation.values['no-lab'] ? runOnHost(invocation) : runCommand(invocation);
}

export const lab: Command = {
  name: 'lab',
  usage: '[options] -- COMMAND [ARGUMENT...]',
  summary: "Runs a command in a test kernel that has AF_ALG; the exit status is the command's.",
  example: 'dmalg lab -- uname -r',
  details: `
A Debian kernel boots in QEMU with this host's file system as its root, and runs the command in this folder with this node and the same
programs, as root. Its stdout and stderr come back apart and as they are written; a pipe or file on stdin is passed on. What it writes is
gone afterwards, except in the folder named with --output (DMALG_LAB_OUTPUT in the command's environment; DMALG_LAB is the kernel's name).

Kernels: 'current' is the one Debian installs today; 'aio' still completes AIO on ciphers asynchronously; 'next' is a later one. The package is
downloaded on first use and kept in $DMALG_CACHE, else $XDG_CACHE_HOME/dmalg, else ~/.cache/dmalg; nothing is installed.
Needs: apt-get install qemu-system-x86 busybox-static kmod xz-utils

Exit status: the command's; 127 it was not found, 126 it could not be executed, 128 + N signal N killed it. Or: 1 wrong usage; 4 no result: QEMU
or another program is missing, the disk is full, the time limit was reached, or the test kernel stopped or logged a fault (BUG, WARNING, Oops,
stall), whatever the command's own status; 6 the kernel package is not offered, or with --no-lab this host has no AF_ALG; 130, 143 interrupted.`,
  options: {
    kernel: { type: 'string', value: 'NAME', help: `${profiles.join(', ')} (default: current)` },
    output: { type: 'string', value: 'FOLDER', help: 'keep what the command writes in this folder; made if missing' },
    timeout: {
      type: 'string',
      value: 'SECONDS',
      help: 'kill the lab when boot and command take longer (default: 900)',
    },
    memory: { type: 'string', value: 'MIB', help: "the lab's memory (default: 4096)" },
    cpus: { type: 'string', value: 'N', help: "the lab's processors (default: 2)" },
    'keep-log': { type: 'string', value: 'FILE', help: 'write the kernel log to this file' },
    verbose: { type: 'boolean', help: "show the kernel's console on stderr" },
    'no-lab': { type: 'boolean', help: "run the command on this host's own kernel, if it has AF_ALG" },
    list: { type: 'boolean', help: 'list the kernels that can be had, and run nothing' },
    json: { type: 'boolean', help: 'with --list: as JSON' },
  },
  run,
};
