import { checkAborted } from '../../base/abort.js';
import { noBytes } from '../../base/bytes.js';
import type { Request } from '../request/request.js';

/**
 * A part of a message on its way through a cipher. Each step is a request, ready to run; whoever drives the steps runs it,
 * in this thread or on an engine, and comes back. What is returned at the end is the output. So one description serves the
 * synchronous and the asynchronous forms, and they cannot drift apart.
 */
export type Steps = Generator<Request, Uint8Array, void>;

/** The bytes of one step: engines interleave, and a signal is looked at, between steps. No op's budget is below this. */
export const stepSize = 128 * 1024;

/** Drives steps in this thread. @throws AlgError */
export function driveSync(steps: Steps): Uint8Array {
  try {
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      step.value.runSync();
    }
  } finally {
    steps.return(noBytes); // after an error of a step, whoever described it tidies up
  }
}

/** Drives steps on the tfm's engine. Rejects with AlgError, or AbortError between two steps. */
export async function drive(steps: Steps, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    for (;;) {
      checkAborted(signal);
      const step = steps.next();
      if (step.done) return step.value;
      await step.value.run();
    }
  } finally {
    steps.return(noBytes);
  }
}
