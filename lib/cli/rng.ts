import { randomStream } from '../crypto/stream/random.js';
import { algName, algOptions, runOptions } from './alg-options.js';
import { CliError, type Command, type Invocation } from './command.js';
import { Exit } from './exit.js';
import { integerOption, stringOption } from './option-values.js';
import { writeOutput } from './output.js';
import { Progress } from './progress.js';

/** The first `count` bytes of a stream without end. */
async function* first(count: number, source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let left = count;
  if (left === 0) return;
  for await (const piece of source) {
    yield piece.subarray(0, left);
    left -= piece.length;
    if (left <= 0) return;
  }
}

async function* asHex(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void> {
  for await (const piece of source) yield Buffer.from(Buffer.from(piece).toString('hex'));
  yield Buffer.from('\n');
}

async function run(invocation: Invocation): Promise<number> {
  const { values, positionals } = invocation;
  if (positionals.length) throw new CliError(`expected no file, got '${positionals[0]}'; --output names one`);
  if (values.bytes === undefined) throw new CliError("--bytes is missing; see 'dmalg rng --help'");
  const count = integerOption(invocation, 'bytes', 0, 0, Number.MAX_SAFE_INTEGER);
  const name = algName(invocation, 'rng', 'stdrng');
  const progress = new Progress(count, values.quiet === true);
  const bytes = progress.count(first(count, randomStream({ name, ...runOptions(invocation) })));
  try {
    await writeOutput(stringOption(invocation, 'output') ?? '-', values.hex ? asHex(bytes) : bytes);
  } finally {
    progress.end();
  }
  return Exit.done;
}

export const rng: Command = {
  name: 'rng',
  usage: '--bytes N [options]',
  summary: 'Writes random bytes from a generator of the kernel.',
  example: 'dmalg rng --bytes 16 --hex',
  options: {
    ...algOptions,
    name: { type: 'string', value: 'ALG', help: 'the generator by its kernel name (default: stdrng)' },
    bytes: { type: 'string', value: 'N', help: 'how many' },
    output: { type: 'string', value: 'FILE', help: 'write to FILE instead of stdout' },
    hex: { type: 'boolean', help: 'write hex digits' },
  },
  run,
};
