import type { Readable } from 'node:stream';
import { scanKernelLog } from './kernel-log.js';
import type { Machine } from './machine.js';

/** Collects a stream's text. */
class Text {
  private readonly chunks: Buffer[] = [];
  constructor(stream: Readable) {
    stream.on('data', (chunk: Buffer) => this.chunks.push(chunk));
  }
  get text(): string {
    return `${Buffer.concat(this.chunks)}`;
  }
}

/** What the machine says besides the command's output. */
export class Transcript {
  readonly console: Text;
  readonly messages: Text;

  constructor(machine: Machine) {
    this.console = new Text(machine.console);
    this.messages = new Text(machine.messages);
  }

  /** The best guess why the machine stopped. */
  reason(): string {
    const init = /^dmalg-lab: (.*)$/m.exec(this.console.text)?.[1]?.trim();
    // QEMU says this at every start.
    const qemu = this.messages.text.split('\n').filter((line) => line && !/RSA with raw padding/.test(line));
    return init ?? scanKernelLog(this.console.text)[0] ?? (qemu.join('; ') || 'it was switched off');
  }
}
