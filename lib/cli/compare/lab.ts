import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describeHost, hostVariable } from '../../compare/measure/environment.js';
import type { AllReport, Report } from '../../compare/report.js';
import { LabError } from '../../lab/error.js';
import { guestEnvironment } from '../../lab/guest-script.js';
import { runInLab } from '../../lab/lab.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { kernelOption } from '../kernel-option.js';
import { catchingSignals, signalStatus } from '../stop-signals.js';
import { type Destination, tablesOf, writeReport } from './destination.js';
import { endVariable } from './end.js';

const main = fileURLToPath(new URL('../main.js', import.meta.url));

/** The same command, without what has been dealt with on the host. */
function innerArguments(invocation: Invocation, experiment: string, json: string): string[] {
  const given = Object.entries(invocation.values).filter(
    ([name]) => !['in-lab', 'kernel', 'minutes', 'json', 'html'].includes(name),
  );
  const options = given.map(([name, value]) => (value === true ? `--${name}` : `--${name}=${value}`));
  // The guest's stderr is never a terminal, and may lead to one.
  if (!process.stderr.isTTY && !invocation.values.quiet) options.push('--quiet');
  return [main, 'compare', experiment, ...options, `--json=${json}`];
}

/** An emulated kernel on a busy host takes long; SIGINT ends it sooner. */
const mostSeconds = 2 * 3600;

/** Runs the command in the lab. The report comes back through a folder, and is written here, as JSON and as a page. @throws CliError */
export async function compareInLab(
  invocation: Invocation,
  experiment: string,
  to: Destination,
  end: number | undefined,
): Promise<number> {
  const profile = kernelOption(invocation, 'aio');
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-compare-'));
  const file = join(folder, 'report.json');
  const stdin = new PassThrough();
  const kill = new AbortController();
  let caught: NodeJS.Signals = 'SIGINT';
  // The first Ctrl-C lets the guest print what it has; the second, and every other signal, ends it.
  const interrupt = (signal: NodeJS.Signals) => {
    caught = signal;
    if (signal !== 'SIGINT' || stdin.writableEnded) kill.abort();
    else stdin.end('stop\n');
  };
  try {
    return await catchingSignals(interrupt, async () => {
      const result = await runInLab({
        kernel: profile,
        command: [process.execPath, ...innerArguments(invocation, experiment, file)],
        env: {
          ...guestEnvironment(process.env),
          [hostVariable]: JSON.stringify(await describeHost()),
          ...(end !== undefined && { [endVariable]: `${end}` }),
        },
        output: folder,
        stdin,
        stdout: tablesOf(to),
        signal: kill.signal,
        timeout: mostSeconds,
        ...(!invocation.values.quiet && { progress: (line: string) => void process.stderr.write(`dmalg: ${line}\n`) }),
      });
      const [fault] = result.kernelLogHits;
      if (fault) throw new CliError(`the test kernel ${result.kernelRelease} reported a fault: ${fault}`, Exit.device);
      if (result.status === Exit.done || result.status === Exit.verification)
        await writeReport(JSON.parse(await readFile(file, 'utf8')) as Report | AllReport, to);
      return result.status;
    });
  } catch (error) {
    if (!(error instanceof LabError)) throw error;
    if (error.code === 'aborted') return signalStatus(caught);
    throw new CliError(error.message, error.code === 'offer' ? Exit.unsupported : Exit.device);
  } finally {
    stdin.destroy();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs an experiment that is to print what it has, and end, on SIGINT: the user's here, or in the lab's guest the host's. */
export async function interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once('SIGINT', interrupt);
  const following = followLab(interrupt);
  try {
    return await run(stop.signal);
  } finally {
    following.stop();
    process.off('SIGINT', interrupt);
  }
}

/** In the guest, whose stdin is this program on the host: stops when the host says so, and shows progress if there is a terminal at the other end. */
function followLab(interrupt: () => void): { stop(): void } {
  if (process.env[hostVariable] === undefined) return { stop: () => undefined };
  // With --quiet nothing is shown; without it the host has seen a terminal.
  process.stderr.isTTY = true;
  process.stdin.once('data', interrupt);
  return { stop: () => void process.stdin.destroy() };
}
