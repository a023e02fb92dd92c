import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { constants } from 'node:os';

const program = new URL('../../lib/cli/main.js', import.meta.url).pathname;
/** `make hard` builds it from fault.c, which says what it understands. */
const shim = new URL('fault.so', import.meta.url).pathname;
/** Milliseconds after which a command hangs, on the slowest of machines. */
const hang = 150_000;

export type ErrorName = keyof typeof constants.errno;

/** Which calls count, and what becomes of one of them. */
export interface Fault {
  calls: readonly string[];
  /** Only those that the addon makes. */
  fromAddon?: boolean;
  /** Only those on files in the folder. */
  onFiles?: boolean;
  /** The number of the call, from 1 on; none is hit without. */
  at?: number;
  /** It fails so; without it the process is killed there. */
  error?: ErrorName;
  /** The calls after it fail, too. */
  lasting?: boolean;
  /** Half of what is to be written is. */
  half?: boolean;
}

export interface Run {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: string;
  /** The names of the calls, and of the first that was hit. */
  calls: string[];
  hit: string | undefined;
}

/** Runs `dmalg` in a folder with such a fault. `before` are words of a shell's line that run before it: `ulimit -f 8`. */
export async function runFaulty(folder: string, args: readonly string[], fault: Fault, before = ''): Promise<Run> {
  const log = `${folder}.calls`;
  const { calls, fromAddon, onFiles, at, error, lasting, half } = fault;
  const env = {
    ...process.env,
    UV_USE_IO_URING: '0',
    LD_PRELOAD: shim,
    FAULT_CALLS: calls.join(','),
    FAULT_LOG: log,
    ...(fromAddon && { FAULT_FROM: 'dmalg.node' }),
    ...(onFiles && { FAULT_UNDER: `${folder}/` }),
    ...(at && { FAULT_AT: `${at}` }),
    ...(error && { FAULT_ERRNO: `${constants.errno[error]}` }),
    ...(lasting && { FAULT_LASTING: '1' }),
    ...(half && { FAULT_HALF: '1' }),
  };
  const [file, ...words] = before
    ? ['/bin/sh', '-c', `${before}; exec "$0" "$@"`, process.execPath, program, ...args]
    : [process.execPath, program, ...args];
  const child = spawn(file!, words, { cwd: folder, env, timeout: hang, killSignal: 'SIGQUIT' });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.end();
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  const lines = readLog(log);
  return {
    status,
    signal,
    stdout: Buffer.concat(out),
    stderr: `${Buffer.concat(err)}`,
    calls: lines.map((line) => line.replace('!', '')),
    hit: lines.find((line) => line.endsWith('!'))?.replace('!', ''),
  };
}

function readLog(log: string): string[] {
  try {
    return readFileSync(log, 'utf8').split('\n').filter(Boolean);
  } finally {
    rmSync(log, { force: true });
  }
}
