import { writeFileSync } from 'node:fs';
import { LabError } from '../lab/error.js';
import { runInLab } from '../lab/lab.js';
import { type Profile, profiles } from '../lab/offer.js';
import { CliError, type Command, Exit, type Invocation, integerOption } from './command.js';

function profileOption(invocation: Invocation): Profile {
  const name = (invocation.values.kernel as string | undefined) ?? 'current';
  const profile = profiles.find((candidate) => candidate === name);
  if (!profile) throw new CliError(`--kernel: expected ${profiles.join(', ')}, got '${name}'`);
  return profile;
}

async function run(invocation: Invocation): Promise<number> {
  const { values, positionals } = invocation;
  if (positionals.length === 0) throw new CliError("no command; see 'dmalg lab --help'");
  const abort = new AbortController();
  let caught: NodeJS.Signals | undefined;
  const stop = (signal: NodeJS.Signals) => {
    caught = signal;
    abort.abort();
  };
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, stop);
  try {
    const result = await runInLab({
      kernel: profileOption(invocation),
      command: positionals,
      ...(values.output !== undefined && { output: values.output as string }),
      timeout: integerOption(invocation, 'timeout', 900, 1, 86400),
      memory: integerOption(invocation, 'memory', 4096, 256, 2 ** 20),
      cpus: integerOption(invocation, 'cpus', 2, 1, 255),
      ...(values.verbose && { console: process.stderr }),
      ...(!values.quiet && { progress: (line: string) => void process.stderr.write(`dmalg: ${line}\n`) }),
      signal: abort.signal,
    });
    if (values['keep-log']) writeFileSync(values['keep-log'] as string, result.kernelLog);
    if (result.kernelLogHits.length > 0) {
      for (const line of result.kernelLogHits) process.stderr.write(`dmalg: kernel log: ${line}\n`);
      throw new CliError(
        `the kernel log of the lab tells of a fault (command's exit status ${result.status})`,
        Exit.device,
      );
    }
    return result.status;
  } catch (error) {
    if (caught) return caught === 'SIGINT' ? 130 : caught === 'SIGTERM' ? 143 : 129;
    if (error instanceof LabError) {
      const status = error.code === 'usage' ? Exit.usage : error.code === 'offer' ? Exit.unsupported : Exit.device;
      throw new CliError(error.message, status);
    }
    throw error;
  } finally {
    for (const signal of signals) process.off(signal, stop);
  }
}

export const lab: Command = {
  name: 'lab',
  usage: '[options] -- COMMAND [ARGUMENT...]',
  summary: 'Runs a command in a test kernel that has AF_ALG; its exit status is the command’s.',
  options: {
    kernel: { type: 'string', value: 'PROFILE', help: 'aio, current or next (default: current)' },
    output: { type: 'string', value: 'FOLDER', help: 'the one folder of the host the command can write to' },
    timeout: { type: 'string', value: 'SECONDS', help: 'kill the lab after this long (default: 900)' },
    memory: { type: 'string', value: 'MIB', help: "the lab's memory (default: 4096)" },
    cpus: { type: 'string', value: 'N', help: "the lab's processors (default: 2)" },
    'keep-log': { type: 'string', value: 'FILE', help: 'write the kernel log to a file' },
    verbose: { type: 'boolean', help: "show the kernel's console on stderr" },
  },
  run,
};
