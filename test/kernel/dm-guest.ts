import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, constants, fsyncSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { expect } from 'chai';
import { openTable } from '../../lib/dm/open-table.js';
import { TableError } from '../../lib/dm/table-error.js';

function access<T>(path: string, use: (fd: number) => T): T {
  const fd = openSync(path, 'r+');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

/** Bytes of a file or device. A device's that nobody else has open come from below: its cache went when it was closed. */
export function readAt(path: string, at: number, length: number): Buffer {
  const out = Buffer.alloc(length);
  access(path, (fd) => expect(readSync(fd, out, 0, length, at)).to.equal(length));
  return out;
}

export function writeAt(path: string, at: number, data: Uint8Array): void {
  access(path, (fd) => {
    expect(writeSync(fd, data, 0, data.length, at)).to.equal(data.length);
    fsyncSync(fd);
  });
}

/** A device that the guest's kernel is to map. */
export interface Mapping {
  name: string;
  /** Lines, or several of them. */
  table: string;
  readOnly?: boolean;
}

/** The guest kernel's device-mapper: the oracle. Starting programs takes most of the time under emulation, so that all goes in few calls. */
export class DmGuest {
  readonly #loops: string[] = [];
  readonly #names: string[] = [];
  readonly #log: number;
  #hasRam = false;

  constructor(...modules: string[]) {
    execFileSync('modprobe', ['--all', 'loop', 'dm-mod', ...modules]);
    this.#log = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);
  }

  /** A loop device on a file. */
  loop(file: string): string {
    const loop = execFileSync('losetup', ['--find', '--show', file]).toString().trim();
    this.#loops.push(loop);
    return loop;
  }

  /** /dev/ram0 of so many bytes. */
  ram(bytes: number): void {
    execFileSync('modprobe', ['brd', 'rd_nr=1', `rd_size=${bytes / 1024}`]);
    this.#hasRam = true;
  }

  /** Makes the devices; the answer has the node of each, by its name. */
  create(mappings: readonly Mapping[]): Map<string, string> {
    const concise = mappings.map(({ name, table, readOnly }) => {
      const lines = table.split('\n').map((line) => line.replaceAll(/[,;\\]/g, '\\$&'));
      return `${name},,,${readOnly ? 'ro' : 'rw'},${lines.join(',')}`;
    });
    this.#names.push(...mappings.map(({ name }) => name));
    execFileSync('dmsetup', ['create', '--noudevsync', '--concise', concise.join(';')]);
    const nodes = new Map<string, string>();
    for (const node of readdirSync('/sys/block'))
      if (node.startsWith('dm-')) nodes.set(readFileSync(`/sys/block/${node}/dm/name`, 'utf8').trim(), `/dev/${node}`);
    return nodes;
  }

  /** What dmsetup prints, by the devices' names: lines joined as a device of ours joins them. */
  print(...args: string[]): Map<string, string> {
    const printed = new Map<string, string[]>();
    for (const line of execFileSync('dmsetup', args).toString().split('\n')) {
      const [name = '', rest = ''] = line.split(/: (.*)/s);
      printed.set(name, [...(printed.get(name) ?? []), rest]);
    }
    return new Map([...printed].map(([name, lines]) => [name, lines.join('\n')]));
  }

  /** The words in which the kernel refuses a table, or 'accepted'. */
  refusal(table: string, ...options: string[]): string {
    this.#newLog();
    const create = ['create', '--noudevsync', ...options, 'refused'];
    const { status } = spawnSync('dmsetup', create, { input: `${table}\n` });
    if (status === 0) {
      this.#names.push('refused');
      this.remove('refused');
      return 'accepted';
    }
    const text = this.#newLog();
    const words = /device-mapper: table: (?:\d+:\d+: )?(?:\w+: )?(.*?)(?: \(-E\w+\))?$/m.exec(text)?.[1];
    expect(words, `exit ${status}, kernel log: ${text}`).to.be.a('string');
    return words!;
  }

  remove(name: string): void {
    execFileSync('dmsetup', ['remove', '--noudevsync', '--retry', name]);
    this.#names.splice(this.#names.indexOf(name), 1);
  }

  /** What the kernel has logged since the last call. */
  #newLog(): string {
    const record = Buffer.alloc(8192);
    let text = '';
    for (;;)
      try {
        text += record.toString('utf8', 0, readSync(this.#log, record)).replace(/^[^;]*;/, '');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return text;
        if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error; // overwritten meanwhile
      }
  }

  /** Takes down what it made, the last first: devices may lie on each other. */
  close(): void {
    if (this.#names.length) spawnSync('dmsetup', ['remove', '--noudevsync', '--retry', ...this.#names.reverse()]);
    for (const loop of this.#loops) execFileSync('losetup', ['--detach', loop]);
    if (this.#hasRam) execFileSync('modprobe', ['--remove', 'brd']);
    closeSync(this.#log);
  }
}

/** The words in which we refuse a table, or 'accepted'. */
export async function ourRefusal(table: string, readOnly = false): Promise<string> {
  try {
    await (await openTable(table, { provider: 'kernel', readOnly })).close();
    return 'accepted';
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    // The kernel names a device without its folder.
    return error.reason.replace('/dev/', '');
  }
}
