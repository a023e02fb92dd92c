import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';

/** nbdkit or qemu-nbd, serving on the unix socket `socket` of a folder until it is disposed of. */
export class NbdTool {
  private constructor(
    readonly child: ChildProcess,
    readonly socket: string,
  ) {}

  /** Returns when it listens. @throws Error when it does not, with what it says */
  static async start(folder: string, tool: 'nbdkit' | 'qemu-nbd', args: readonly string[]): Promise<NbdTool> {
    const [socket, pid] = [join(folder, 'socket'), join(folder, 'pid')];
    // What was killed has left them.
    for (const file of [socket, pid]) rmSync(file, { force: true });
    const where = { nbdkit: ['-f', '-U', socket, '-P', pid], 'qemu-nbd': ['-t', '-k', socket, `--pid-file=${pid}`] }[
      tool
    ];
    const names = watch(folder);
    const child = spawn(tool, [...where, ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr!.on('data', (data) => {
      text += data;
    });
    const exit = once(child, 'exit').then(() => {
      throw new Error(`${tool}: ${text}`);
    });
    exit.catch(() => {});
    try {
      while (!existsSync(pid)) await Promise.race([once(names, 'change'), exit]);
    } finally {
      names.close();
    }
    return new NbdTool(child, socket);
  }

  get uri(): string {
    return `nbd+unix:///?socket=${this.socket}`;
  }

  /** Returns when it is gone. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exit = once(this.child, 'exit');
    this.child.kill(signal);
    await exit;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill('SIGKILL');
  }
}
