import { constants } from 'node:os';
import { CliError } from './command.js';

/** The signals that ask a program to end. */
const stopSignals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** What a shell reports for a program that a signal ended. */
export const signalStatus = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];

/** Calls `stop` for the signals that ask this process to end, while `work` runs. @throws what `work` throws */
export async function catchingSignals<T>(stop: (signal: NodeJS.Signals) => void, work: () => Promise<T>): Promise<T> {
  for (const signal of stopSignals) process.on(signal, stop);
  try {
    return await work();
  } finally {
    for (const signal of stopSignals) process.off(signal, stop);
  }
}

/**
 * Runs what an AbortSignal ends: a signal to the process gives it, so that what is half done is cleared away before the process
 * ends with the status that a shell gives to a command killed so. @throws what `run` throws; CliError after a signal
 */
export async function untilStopped<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let stopped: NodeJS.Signals | undefined;
  const stop = (signal: NodeJS.Signals) => {
    stopped = signal;
    controller.abort(new Error(signal));
  };
  try {
    return await catchingSignals(stop, () => run(controller.signal));
  } catch (error) {
    if (stopped === undefined) throw error;
    throw new CliError(`stopped by ${stopped}`, signalStatus(stopped));
  }
}

/**
 * Runs a server, which `told` tells to end: SIGINT or SIGTERM. The second one ends the process at once, with the status that a shell gives to
 * a command killed so. SIGHUP, when a terminal goes away, ends nothing.
 */
export async function untilTold<T>(run: (told: Promise<void>) => Promise<T>): Promise<T> {
  let tell = () => {};
  const told = new Promise<void>((resolve) => {
    tell = resolve;
  });
  let isTold = false;
  const stop = (signal: NodeJS.Signals) => {
    if (signal === 'SIGHUP') return;
    if (isTold) process.exit(signalStatus(signal));
    isTold = true;
    tell();
  };
  return catchingSignals(stop, () => run(told));
}
