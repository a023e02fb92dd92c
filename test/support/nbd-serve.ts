import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

const program = new URL('../../lib/cli/main.js', import.meta.url).pathname;

const children: ChildProcess[] = [];

/** `dmalg serve`, running. */
export class Serving {
  #stderr = '';

  private constructor(
    readonly child: ChildProcess,
    /** What it has printed: the URIs of its exports. */
    readonly uris: string[],
  ) {
    child.stderr!.on('data', (chunk) => {
      this.#stderr += chunk;
    });
  }

  /** Resolves when clients can come. @throws Error with its last words when it ends instead */
  static async start(
    folder: string,
    args: string[],
    command: string[] = [process.execPath, program],
  ): Promise<Serving> {
    const [name, ...before] = command;
    const child = spawn(name!, [...before, 'serve', ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    const serving = new Serving(child, []);
    const ended = once(child, 'close').then(() => {
      throw new Error(serving.stderr);
    });
    const [first] = await Promise.race([once(child.stdout!, 'data'), ended]);
    ended.catch(() => {});
    serving.uris.push(...String(first).trimEnd().split('\n'));
    return serving;
  }

  /** Ends those that a test has left behind. */
  static killAll(): void {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  }

  get uri(): string {
    return this.uris[0]!;
  }

  /** What it has said so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Ends it, and resolves to its status. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const closed = once(this.child, 'close');
    this.child.kill(signal);
    const [status] = await closed;
    return status;
  }
}

/** Runs a client to its end. `output` is all that it has said. */
export function client(folder: string, name: string, args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync(name, args, { cwd: folder, encoding: 'utf8', timeout: 300_000 });
  if (error) throw error;
  return { status, output: stdout + stderr };
}

/** Runs a Python program that has a libnbd handle `h`. Debian's own interpreter is the one that has the module. */
export function nbdsh(folder: string, lines: string[]): { status: number | null; output: string } {
  return client(folder, '/usr/bin/python3', ['-m', 'nbd', ...lines.flatMap((line) => ['-c', line])]);
}
