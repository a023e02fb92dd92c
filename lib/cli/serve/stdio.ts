import { fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { CliError } from '../command.js';
import { Exit } from '../exit.js';

/** The client on stdin and stdout: one socket that is both, as inetd, ssh and libnbd give it, or two pipes. @throws CliError */
export function stdioClient(): Duplex {
  const [input, output] = [fstatSync(0), fstatSync(1)];
  for (const [name, stat] of Object.entries({ stdin: input, stdout: output }))
    if (!stat.isSocket() && !stat.isFIFO())
      throw new CliError(`${name}: expected a socket or a pipe with a client at its other end`, Exit.device);
  if (input.isSocket() && input.ino === output.ino) return new Socket({ fd: 0, allowHalfOpen: true });
  return new TwoPipes(new Socket({ fd: 0, writable: false }), new Socket({ fd: 1, readable: false }));
}

/** Ends when all is written: libuv closes no stdout, so that only the end of the process tells the client that there is no more. */
class TwoPipes extends Duplex {
  readonly #input: Socket;
  readonly #output: Socket;

  constructor(input: Socket, output: Socket) {
    super({ allowHalfOpen: true });
    this.#input = input;
    this.#output = output;
    input.on('data', (chunk) => {
      if (!this.push(chunk)) input.pause();
    });
    input.on('end', () => this.push(null));
    for (const end of [input, output]) end.on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    this.#input.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#output.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#output.write('', (error) => {
      done(error);
      this.destroy();
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#input.destroy();
    this.#output.destroy();
    done(error);
  }
}
