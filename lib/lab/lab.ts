import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { LabError } from './error.js';
import { guestEnvironment, guestScript } from './guest-script.js';
import { obtainInitramfs } from './initramfs.js';
import { obtainKernel } from './kernel.js';
import { scanKernelLog } from './kernel-log.js';
import { type Machine, startMachine } from './machine.js';
import type { Profile } from './offer.js';
import { labUnavailable } from './tools.js';

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

/** Copies a port to a stream, and counts. */
class Copy {
  bytes = 0;
  private expected = Number.POSITIVE_INFINITY;
  private reached!: () => void;
  /** Fulfilled when as many bytes have come as the guest says it sent. */
  readonly complete = new Promise<void>((done) => {
    this.reached = done;
  });

  constructor(port: Readable, write: (chunk: Buffer) => Promise<void> | void) {
    port.on('data', async (chunk: Buffer) => {
      port.pause();
      await write(chunk);
      this.bytes += chunk.length;
      port.resume();
      if (this.bytes >= this.expected) this.reached();
    });
  }

  expect(bytes: number): Promise<void> {
    this.expected = bytes;
    if (this.bytes >= bytes) this.reached();
    return this.complete;
  }
}

/** The guest's side of the conversation on the control port: a line per step (see init.sh). */
class Control {
  private text = '';
  private readonly waiting: ((words: string[]) => void)[] = [];
  private readonly lines: string[][] = [];

  constructor(port: Readable) {
    port.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
      const lines = this.text.split('\n');
      this.text = lines.pop()!;
      for (const line of lines) {
        const next = this.waiting.shift();
        if (next) next(line.split(' '));
        else this.lines.push(line.split(' '));
      }
    });
  }

  /** The words after `keyword` on the next line. */
  async next(keyword: string): Promise<string[]> {
    const words = this.lines.shift() ?? (await new Promise<string[]>((done) => this.waiting.push(done)));
    if (words[0] !== keyword)
      throw new LabError('died', `the lab's init said '${words.join(' ')}' instead of '${keyword}'`);
    return words.slice(1);
  }
}

function checkOptions(options: LabOptions): void {
  if (options.command.length === 0) throw new LabError('usage', 'no command to run in the lab');
  const cwd = statSync(resolve(options.cwd ?? '.'), { throwIfNoEntry: false });
  if (!cwd?.isDirectory()) throw new LabError('usage', `${options.cwd}: not a folder`);
}

/**
 * Boots a test kernel, runs a command in it in the same folder with the same programs, and brings back its output and exit status.
 * Fetches the kernel on first use. Leaves no process and no file behind, however it ends; runs side by side do not touch each other.
 * @throws LabError when the command could not be run to its end.
 */
export async function runInLab(options: LabOptions): Promise<LabResult> {
  const { kernel: profile = 'current', signal, timeout = 900 } = options;
  checkOptions(options);
  const unavailable = labUnavailable();
  if (unavailable) throw new LabError('tools', unavailable);
  const output = options.output === undefined ? undefined : resolve(options.output);
  if (output) mkdirSync(output, { recursive: true });

  const kernel = await obtainKernel(profile, { signal, ...(options.progress && { progress: options.progress }) });
  const initramfs = await obtainInitramfs(kernel, signal);
  if (signal?.aborted) throw new LabError('aborted', 'the lab was interrupted');
  const env: Record<string, string> = { ...(options.env ?? guestEnvironment(process.env)), DMALG_LAB: profile };
  if (output) env.DMALG_LAB_OUTPUT = output;
  const job = Buffer.from(
    guestScript({
      command: options.command,
      cwd: resolve(options.cwd ?? '.'),
      env,
      modules: kernel.modules,
      ...(output && { output }),
    }),
  );

  const started = performance.now();
  const machine = startMachine({
    image: kernel.image,
    initramfs,
    variables: { job: job.length, stdin: options.stdin ? 1 : 0 },
    memory: options.memory ?? 4096,
    cpus: options.cpus ?? 2,
    output,
  });
  const ended = once(machine.process, 'close').catch(() => undefined);
  const console: Buffer[] = [];
  machine.console.on('data', (chunk: Buffer) => {
    console.push(chunk);
    options.console?.write(chunk);
  });
  const messages: Buffer[] = [];
  machine.messages.on('data', (chunk: Buffer) => messages.push(chunk));

  const consoleText = () => `${Buffer.concat(console)}`;
  const failures: Promise<never>[] = [];
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  failures.push(
    new Promise((_, reject) => {
      timer = setTimeout(() => {
        const line = `the command did not end within ${timeout} s in the lab (--timeout): killed`;
        reject(new LabError('timeout', line, consoleText()));
      }, timeout * 1000);
    }),
    new Promise((_, reject) => {
      onAbort = () => reject(new LabError('aborted', 'the lab was interrupted', consoleText()));
      signal?.addEventListener('abort', onAbort, { once: true });
    }),
    ended.then(() => {
      const text = consoleText();
      const lines = `${Buffer.concat(messages)}`.split('\n').filter((line) => !/RSA with raw padding/.test(line));
      const said = /^dmalg-lab: (.*)$/m.exec(text)?.[1]?.trim();
      const reason = said ?? scanKernelLog(text)[0] ?? lines.filter(Boolean).join('; ');
      throw new LabError(
        'died',
        `the test kernel stopped before the command ended: ${reason || 'no reason given'}`,
        text,
      );
    }),
  );
  for (const failure of failures) failure.catch(() => undefined);
  try {
    return await Promise.race([converse(machine, job, options), ...failures]).then((conversation) => {
      const log = conversation.log;
      return {
        status: conversation.status,
        kernelPackage: kernel.package,
        kernelRelease: kernel.release,
        bootSeconds: (conversation.bootedAt - started) / 1000,
        kernelLogHits: scanKernelLog(log),
        kernelLog: log,
      };
    });
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener('abort', onAbort);
    options.stdin?.unpipe(machine.ports.stdin);
    machine.process.kill('SIGKILL');
    await ended;
  }
}

/** Sends the job, passes the streams, and takes the result. */
async function converse(machine: Machine, job: Buffer, options: LabOptions) {
  const { ports } = machine;
  // Ports end without ceremony when QEMU is killed.
  for (const port of Object.values(ports)) port.on('error', () => undefined);
  const brokenOutput = new Promise<never>((_, reject) => {
    for (const stream of [options.stdout ?? process.stdout, options.stderr ?? process.stderr])
      stream.once('error', (error) =>
        reject(new LabError('output', `the command's output could not be passed on: ${error.message}`)),
      );
  });
  brokenOutput.catch(() => undefined);
  const passOn = (stream: Writable) => async (chunk: Buffer) => {
    if (!stream.write(chunk)) await once(stream, 'drain').catch(() => undefined);
  };
  const log: Buffer[] = [];
  const copies = [
    new Copy(ports.stdout, passOn(options.stdout ?? process.stdout)),
    new Copy(ports.stderr, passOn(options.stderr ?? process.stderr)),
    new Copy(ports.log, (chunk) => void log.push(chunk)),
  ];
  const control = new Control(ports.control);
  const steps = async () => {
    await control.next('up');
    ports.control.write(job);
    await control.next('run');
    const bootedAt = performance.now();
    options.stdin?.pipe(ports.stdin);
    const [status, ...counts] = (await control.next('done')).map(Number);
    await Promise.all(copies.map((copy, n) => copy.expect(counts[n]!)));
    return { status: status!, bootedAt, log: `${Buffer.concat(log)}` };
  };
  return Promise.race([steps(), brokenOutput]);
}
