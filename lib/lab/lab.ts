import { existsSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { converse } from './conversation.js';
import { LabError, type LabErrorCode } from './error.js';
import { guestEnvironment, guestScript } from './guest-script.js';
import { obtainInitramfs } from './initramfs.js';
import { type Kernel, obtainKernel } from './kernel.js';
import { scanKernelLog } from './kernel-log.js';
import { type Machine, startMachine } from './machine.js';
import type { Profile } from './offer.js';
import { labUnavailable } from './tools.js';
import { Transcript } from './transcript.js';

export interface LabOptions {
  kernel?: Profile;
  /** Program and arguments; looked up in `env.PATH`. */
  command: string[];
  /** Default: this process's. */
  cwd?: string;
  /** The command's whole environment. Default: the part of this process's that means something in the guest (guestEnvironment). */
  env?: Record<string, string>;
  /** A folder of the host, made if missing, that the command can write to; everything else it writes is gone with the lab. */
  output?: string;
  /** Seconds from the start of QEMU to the end of the command. Default 900. */
  timeout?: number;
  /** Where the command's output goes, as it comes. Default: this process's. Not ended by the lab. */
  stdout?: Writable;
  stderr?: Writable;
  /** What the command reads. Default: nothing. */
  stdin?: Readable;
  /** Receives the kernel's console as it comes. */
  console?: Writable;
  /** MiB. Default 4096. */
  memory?: number;
  /** Default 2. */
  cpus?: number;
  /** Aborting kills the lab. */
  signal?: AbortSignal;
  /** Told what takes long before the boot, a line at a time. */
  progress?: (line: string) => void;
}

export interface LabResult {
  /** The command's exit status; 128 + signal if one killed it; 127 not found; 126 not executable. */
  status: number;
  kernelPackage: string;
  kernelRelease: string;
  /** From the start of QEMU to the start of the command. */
  bootSeconds: number;
  /** Lines of the kernel log that tell of a fault. A run with any has failed, whatever its status. */
  kernelLogHits: string[];
  /** The kernel's whole log. */
  kernelLog: string;
}

/** The caller's environment as the guest gets it, with this process's node first in PATH. */
function environment(options: LabOptions, profile: Profile, output: string | undefined): Record<string, string> {
  const env: Record<string, string> = { ...(options.env ?? guestEnvironment(process.env)), DMALG_LAB: profile };
  if (options.env === undefined) env.PATH = pathWithNode(env.PATH);
  return output === undefined ? env : { ...env, DMALG_LAB_OUTPUT: output };
}

function pathWithNode(path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'): string {
  const found = path
    .split(delimiter)
    .map((folder) => join(folder, 'node'))
    .find((file) => existsSync(file));
  const same = found !== undefined && realpathSync(found) === realpathSync(process.execPath);
  return same ? path : `${dirname(process.execPath)}${delimiter}${path}`;
}

/** The checked folders of a run. */
function foldersOf(options: LabOptions): { cwd: string; output: string | undefined } {
  const cwd = resolve(options.cwd ?? '.');
  if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) throw new LabError('usage', `${cwd}: not a folder`);
  if (options.output === undefined) return { cwd, output: undefined };
  const output = resolve(options.output);
  try {
    mkdirSync(output, { recursive: true });
  } catch (error) {
    throw new LabError('output', `output folder ${output}: cannot be made: ${(error as Error).message}`);
  }
  return { cwd, output };
}

/** Everything but the command's own end that can end a run: `happened` rejects, until `stop` is called. */
function watchFailures(machine: Machine, transcript: Transcript, timeout: number, signal: AbortSignal | undefined) {
  const stopped = new AbortController();
  const happened = new Promise<never>((_, reject) => {
    const fail = (code: LabErrorCode, message: string) => reject(new LabError(code, message, transcript.console.text));
    const late = () => {
      const hit = scanKernelLog(transcript.console.text)[0];
      const said = hit ? `; the kernel said: ${hit}` : '';
      fail('timeout', `the command did not end within ${timeout} s in the lab (--timeout) and was killed${said}`);
    };
    const timer = setTimeout(late, timeout * 1000);
    stopped.signal.addEventListener('abort', () => clearTimeout(timer));
    const interrupt = () => fail('aborted', 'the lab was interrupted');
    signal?.addEventListener('abort', interrupt, { signal: stopped.signal });
    machine.process.once('error', (error) => fail('start', `QEMU could not be started: ${error.message}`));
    const died = () => fail('died', `the test kernel stopped before the command ended: ${transcript.reason()}`);
    machine.process.once('close', died);
  });
  happened.catch(() => undefined);
  return { happened, stop: () => stopped.abort() };
}

/** What of a run stays the same when it has to be started again. */
interface Setup {
  kernel: Kernel;
  initramfs: string;
  job: Buffer;
  output: string | undefined;
}

/** Boots once. `onStart` is called when the command is about to start. */
async function boot(setup: Setup, options: LabOptions, onStart: () => void): Promise<LabResult> {
  const { kernel, initramfs, job, output } = setup;
  const { memory = 4096, cpus = 2, stdin, stdout = process.stdout, stderr = process.stderr, timeout = 900 } = options;
  const begunAt = performance.now();
  let bootSeconds = 0;
  const variables = { job: job.length, stdin: stdin ? 1 : 0 };
  const machine = startMachine({ image: kernel.image, initramfs, variables, memory, cpus, output });
  const ended = new Promise((resolve) => machine.process.once('close', resolve).once('error', resolve));
  const transcript = new Transcript(machine);
  if (options.console) machine.console.pipe(options.console, { end: false });
  const failure = watchFailures(machine, transcript, timeout, options.signal);
  const started = () => {
    bootSeconds = (performance.now() - begunAt) / 1000;
    onStart();
  };
  try {
    const streams = { stdout, stderr, stdin, onStart: started };
    const { status, log } = await converse(machine.ports, job, streams, failure.happened);
    const { package: kernelPackage, release: kernelRelease } = kernel;
    return { status, kernelPackage, kernelRelease, bootSeconds, kernelLogHits: scanKernelLog(log), kernelLog: log };
  } finally {
    failure.stop();
    machine.process.kill('SIGKILL');
    // Output that nobody takes would keep the process from being closed.
    for (const port of Object.values(machine.ports)) port.destroy();
    await ended;
  }
}

/**
 * Boots a test kernel, runs a command in it in the same folder with the same programs, and brings back its output and exit status.
 * Fetches the kernel on first use. Leaves no process and no file behind, however it ends; runs side by side do not touch each other.
 * @throws LabError when the command could not be run to its end.
 */
export async function runInLab(options: LabOptions): Promise<LabResult> {
  const { kernel: profile = 'current', signal, command, progress } = options;
  if (command.length === 0) throw new LabError('usage', 'no command to run in the lab');
  const unavailable = labUnavailable();
  if (unavailable) throw new LabError('tools', unavailable);
  const { cwd, output } = foldersOf(options);
  const kernel = await obtainKernel(profile, { signal, ...(progress && { progress }) });
  const initramfs = await obtainInitramfs(kernel, signal);
  const env = environment(options, profile, output);
  const job = Buffer.from(guestScript({ command, cwd, env, modules: kernel.modules, output }));
  if (signal?.aborted) throw new LabError('aborted', 'the lab was interrupted');

  const setup = { kernel, initramfs, job, output };
  let started = false;
  const onStart = () => {
    started = true;
  };
  try {
    return await boot(setup, options, onStart);
  } catch (error) {
    // The emulator's processors see each other's code patches late once in a hundred boots, which stops the kernel ("Oops: int3").
    if (started || !(error instanceof LabError && error.code === 'died')) throw error;
    progress?.(`${error.message}; booting once more`);
    return await boot(setup, options, onStart);
  }
}
