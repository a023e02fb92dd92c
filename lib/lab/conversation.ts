import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Duplex, Readable, Writable } from 'node:stream';
import { LabError } from './error.js';
import type { PortName } from './machine.js';

export interface ConversationStreams {
  stdout: Writable;
  stderr: Writable;
  stdin?: Readable | undefined;
  /** Called when the command is about to start. */
  onStart?: () => void;
}

export interface Outcome {
  /** Exit status of the command. */
  status: number;
  /** The kernel's log. */
  log: string;
}

/** Passes on what a port sends, at the reader's pace. @returns a function that waits until so many bytes have been passed on. */
function passOn(port: Duplex, write: (chunk: Buffer) => Promise<void>): (bytes: number) => Promise<void> {
  let passed = 0;
  let expected = Number.POSITIVE_INFINITY;
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  port.on('data', async (chunk: Buffer) => {
    port.pause();
    await write(chunk);
    passed += chunk.length;
    if (passed >= expected) finish();
    port.resume();
  });
  return (bytes) => {
    expected = bytes;
    if (passed >= expected) finish();
    return finished;
  };
}

/** Writes to a stream, waiting while it is full; a broken stream is somebody else's to report. */
function writer(stream: Writable): (chunk: Buffer) => Promise<void> {
  return async (chunk) => {
    if (!stream.write(chunk)) await once(stream, 'drain').catch(() => undefined);
  };
}

/** Rejects when one of the streams breaks, until told to stop watching. */
function watch(streams: Writable[]): { broken: Promise<never>; stop(): void } {
  let onError: (error: Error) => void = () => undefined;
  const broken = new Promise<never>((_, reject) => {
    onError = (error) => reject(new LabError('output', `the command's output cannot be passed on: ${error.message}`));
  });
  for (const stream of streams) stream.on('error', onError);
  return {
    broken,
    stop() {
      for (const stream of streams) stream.off('error', onError);
    },
  };
}

/**
 * The host's side of init.sh: sends the job, passes the streams, takes the result.
 * @param failure rejects when the machine is gone or no longer wanted, which its ports do not tell.
 * @throws what `failure` does; LabError `output` when stdout or stderr breaks; `died` when init says something else than it should.
 */
export async function converse(
  ports: Record<PortName, Duplex>,
  job: Buffer,
  streams: ConversationStreams,
  failure: Promise<never>,
): Promise<Outcome> {
  // Ports end without ceremony when QEMU is killed.
  for (const port of Object.values(ports)) port.on('error', () => undefined);
  const log: Buffer[] = [];
  const complete = [
    passOn(ports.stdout, writer(streams.stdout)),
    passOn(ports.stderr, writer(streams.stderr)),
    passOn(ports.log, async (chunk) => void log.push(chunk)),
  ];
  const lines = createInterface({ input: ports.control })[Symbol.asyncIterator]();
  const step = async (keyword: string): Promise<string[]> => {
    const { value, done } = await lines.next();
    // QEMU is gone, and whoever watches it says so.
    if (done) return new Promise(() => undefined);
    const [said, ...words] = value.split(' ');
    if (said !== keyword) throw new LabError('died', `the lab's init said '${value}' instead of '${keyword}'`);
    return words;
  };
  const steps = async (): Promise<Outcome> => {
    await step('up');
    ports.control.write(job);
    await step('run');
    streams.onStart?.();
    streams.stdin?.pipe(ports.stdin);
    const [status, ...counts] = (await step('done')).map(Number);
    await Promise.all(complete.map((reached, n) => reached(counts[n] ?? Number.NaN)));
    return { status: status ?? Number.NaN, log: `${Buffer.concat(log)}` };
  };
  const watched = watch([streams.stdout, streams.stderr]);
  try {
    return await Promise.race([steps(), watched.broken, failure]);
  } finally {
    watched.stop();
    streams.stdin?.unpipe(ports.stdin);
  }
}
