import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Command } from './commands.js';
import { type Fault, type Run, runFaulty } from './faulty.js';

export type Files = Record<string, Buffer>;

export function readFiles(folder: string): Files {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

/** A command with the files it works on, as often as they are wanted, and what becomes of them when nothing fails. */
export class Stage {
  #made = 0;

  private constructor(
    readonly command: Command,
    readonly root: string,
    readonly inputs: Files,
  ) {}

  static async open(command: Command): Promise<Stage> {
    const root = mkdtempSync(join(tmpdir(), 'dmalg-hard-'));
    const first = join(root, 'first');
    mkdirSync(first);
    await command.prepare(first);
    return new Stage(command, root, readFiles(first));
  }

  /** A new folder with the inputs alone, which close() removes where it is not elsewhere. */
  folder(base = this.root): string {
    const folder = join(base, `${++this.#made}`);
    cpSync(join(this.root, 'first'), folder, { recursive: true });
    return folder;
  }

  run(folder: string, fault: Fault, before?: string): Promise<Run> {
    return runFaulty(folder, this.command.args(folder), fault, before);
  }

  /** Runs it where nothing fails. */
  async reference(fault: Fault): Promise<Reference> {
    const folder = this.folder();
    const run = await this.run(folder, fault);
    expect(run, run.stderr).to.include({ status: 0, signal: null });
    const reference = new Reference(this, readFiles(folder), text(run, folder), run.calls);
    rmSync(folder, { recursive: true });
    return reference;
  }

  close(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

const text = ({ stdout }: Run, folder: string) => stdout.toString('latin1').replaceAll(folder, 'FOLDER');

/** What a command says and leaves where nothing fails. */
export class Reference {
  constructor(
    readonly stage: Stage,
    readonly files: Files,
    readonly stdout: string,
    /** The calls that could fail. */
    readonly calls: readonly string[],
  ) {}

  /** It said what it is to say. */
  checkSaid(run: Run, folder: string): void {
    const { random, mends } = this.stage.command;
    if (random) return;
    const said = text(run, folder);
    // Its last line counts what has been mended.
    if (mends) expect(said.split('\n')).to.include.members(this.stdout.split('\n').slice(0, -2));
    else expect(said).to.equal(this.stdout);
  }

  /** Everything is there, and right. */
  checkDone(run: Run, folder: string): void {
    expect(run, run.stderr).to.include({ status: 0, signal: null });
    const left = readFiles(folder);
    expect(Object.keys(left)).to.have.members(Object.keys(this.files));
    for (const [name, bytes] of Object.entries(left))
      expect(this.isWhole(name, bytes), `${name} is right`).to.equal(true);
  }

  /** It ended by itself, with a status of the list, and said in a line or two why. */
  checkRefused(run: Run, words: string): void {
    expect(run.signal, run.stderr).to.equal(null);
    expect(run.status, run.stderr).to.be.within(1, 6);
    expect(run.stderr)
      .to.match(new RegExp(`\\b${words}\\b`))
      .and.not.match(/\n {4}at |node:internal/);
  }

  /** No file is half of what it should be. `strays` says which other files may be there. */
  checkFiles(folder: string, strays: (name: string) => boolean): void {
    const { inputs, command } = this.stage;
    const left = readFiles(folder);
    expect(Object.keys(left)).to.include.members(Object.keys(inputs));
    for (const [name, bytes] of Object.entries(left)) {
      if (command.inPlace.includes(name)) this.#checkBytes(name, bytes);
      else if (Object.hasOwn(inputs, name)) expect(bytes.equals(inputs[name]!), `${name} is untouched`).to.equal(true);
      else if (command.outputs.includes(name)) expect(this.isWhole(name, bytes), `${name} is whole`).to.equal(true);
      else expect(strays(name), `${name} is left`).to.equal(true);
    }
  }

  isWhole(name: string, bytes: Buffer): boolean {
    const whole = this.files[name];
    if (whole === undefined) return false;
    return this.stage.command.random === true ? bytes.length === whole.length : bytes.equals(whole);
  }

  #checkBytes(name: string, bytes: Buffer): void {
    const [old, whole] = [this.stage.inputs[name]!, this.files[name]!];
    expect(bytes.length, name).to.be.within(old.length, Math.max(old.length, whole.length));
    const wrong = bytes.findIndex((byte, at) => byte !== (at < old.length ? old[at] : 0) && byte !== whole[at]);
    expect(wrong, `${name}: a byte that is neither the old nor the new one`).to.equal(-1);
  }
}

/** Does this for each of the things, two at a time, until there is no time left; for the first in any case. */
export async function untilLate<T>(things: readonly T[], isLate: () => boolean, work: (thing: T) => Promise<void>) {
  const left = [...things];
  const pass = async () => {
    for (let first = true; left.length > 0 && (first || !isLate()); first = false) await work(left.shift()!);
  };
  await Promise.all([pass(), pass()]);
}
