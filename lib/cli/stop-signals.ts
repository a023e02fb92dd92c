import { constants } from 'node:os';
import { CliError } from './command.js';

const stopSignals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

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
  for (const signal of stopSignals) process.on(signal, stop);
  try {
    return await run(controller.signal);
  } catch (error) {
    if (stopped === undefined) throw error;
    throw new CliError(`stopped by ${stopped}`, 128 + constants.signals[stopped]);
  } finally {
    for (const signal of stopSignals) process.off(signal, stop);
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
    if (isTold) process.exit(128 + constants.signals[signal]);
    isTold = true;
    tell();
  };
  const listeners = { SIGINT: stop, SIGTERM: stop, SIGHUP: () => {} };
  for (const [signal, listener] of Object.entries(listeners)) process.on(signal, listener);
  try {
    return await run(told);
  } finally {
    for (const [signal, listener] of Object.entries(listeners)) process.off(signal, listener);
  }
}
