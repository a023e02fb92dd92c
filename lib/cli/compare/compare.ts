import { binding } from '../../base/binding.js';
import { compareAll, experiments } from '../../compare/all.js';
import { baseArm, ivArms } from '../../compare/iv/arms.js';
import { compareIv, ivDrivers, ivPresets } from '../../compare/iv/iv.js';
import { library } from '../../compare/measure/drivers.js';
import { CliError, type Command, type Invocation, type OptionHelp, type Verb } from '../command.js';
import { Exit } from '../exit.js';
import { integerOption, stringOption } from '../option-values.js';
import { destinationOf } from './destination.js';
import { compareDiff } from './diff.js';
import { allMinutes, endOption } from './end.js';
import { compareInLab } from './lab.js';
import { runAndReport } from './report.js';

const names = [...Object.keys(experiments), 'all'];

/** A comma outside of parentheses ends a name: drivers have commas in theirs. */
export function splitList(text: string): string[] {
  return text.split(/,(?![^(]*\))/).map((word) => word.trim());
}

function words(invocation: Invocation, name: string, fallback: readonly string[]): string[] {
  const text = stringOption(invocation, name);
  if (text === undefined) return [...fallback];
  const list = splitList(text);
  if (list.includes('')) throw new CliError(`--${name}: expected names with commas between them, got '${text}'`);
  return [...new Set(list)];
}

const units: Record<string, number> = { '': 1, k: 1024, m: 1024 * 1024 };
const largest = 128 * 1024;

/** Sizes of requests: '512', '4K', '64KiB'. */
function sizesOption(text: string): number[] {
  const sizes = text.split(',').map((word) => {
    const [, digits, unit = ''] = /^(\d+)([km]?)(?:i?b)?$/i.exec(word.trim()) ?? [];
    const bytes = Number(digits) * units[unit.toLowerCase()]!;
    if (digits === undefined || bytes % 16 !== 0 || bytes < 16 || bytes > largest)
      throw new CliError(`--sizes: expected multiples of 16 from 16 to ${largest}, as in 512,4K,64K, got '${word}'`);
    return bytes;
  });
  return [...new Set(sizes)].sort((a, b) => a - b);
}

function armsOption(invocation: Invocation): string[] {
  const known = ivArms.map(({ name }) => name);
  const arms = words(invocation, 'arms', known);
  const unknown = arms.find((arm) => !known.includes(arm));
  if (unknown !== undefined) throw new CliError(`--arms: expected ${known.join(', ')}, got '${unknown}'`);
  return arms;
}

async function run(invocation: Invocation): Promise<number> {
  const { values, positionals } = invocation;
  const [experiment, ...more] = positionals;
  if (experiment === 'diff') return compareDiff(invocation, more);
  if (experiment === undefined || !names.includes(experiment))
    throw new CliError(`expected an experiment (${names.join(', ')}), got '${experiment ?? ''}'`);
  if (more.length) throw new CliError(`expected one experiment, got '${more[0]}' beside it`);
  if (values.kernel !== undefined && !values['in-lab']) throw new CliError('--kernel: expected --in-lab beside it');
  const quick = values.quick === true;
  const to = destinationOf(invocation);
  const end = endOption(invocation, experiment);
  if (experiment !== 'iv') {
    if (values['in-lab']) return compareInLab(invocation, experiment, to, end);
    const compareIt = experiment === 'all' ? compareAll : experiments[experiment as keyof typeof experiments];
    return runAndReport((watch) => compareIt({ quick }, watch), to, end);
  }
  const preset = ivPresets[quick ? 'quick' : 'full'];
  const requests = integerOption(invocation, 'requests', 0, 2, 4096);
  const options = {
    drivers: words(invocation, 'drivers', ivDrivers),
    sizes: values.sizes === undefined ? preset.sizes : sizesOption(stringOption(invocation, 'sizes')!),
    arms: armsOption(invocation),
    repetitions: integerOption(invocation, 'repetitions', preset.repetitions, 1, 1000),
    requests: requests || undefined,
    quick,
  };
  if (values['in-lab']) return compareInLab(invocation, experiment, to, end);
  if (binding().af_alg_probe() < 0 && options.drivers.some((driver) => driver !== library))
    throw new CliError(
      'this kernel has no AF_ALG; add --in-lab to measure in the test kernel, or --drivers library',
      Exit.unsupported,
    );
  return runAndReport((watch) => compareIv(options, watch), to, end);
}

const options: Record<string, OptionHelp> = {
  drivers: { type: 'string', value: 'A,B', help: `kernel drivers, and library (default: ${ivDrivers.join(', ')})` },
  sizes: { type: 'string', value: 'N,N', help: `bytes of a request (default: ${ivPresets.full.sizes})` },
  arms: { type: 'string', value: 'A,B', help: `which of them (default: all; ${baseArm} always)` },
  repetitions: { type: 'string', value: 'N', help: `rounds that count (default: ${ivPresets.full.repetitions})` },
  requests: { type: 'string', value: 'N', help: 'requests of one repetition (default: by their size)' },
  quick: {
    type: 'boolean',
    help: `less of everything: under a minute an experiment; iv: sizes ${ivPresets.quick.sizes}, ${ivPresets.quick.repetitions} rounds`,
  },
  minutes: {
    type: 'string',
    value: 'N',
    help: `how long it may take, the start of the lab included: what is left out then is named (default: all ${allMinutes}; others as long as they take)`,
  },
  json: {
    type: 'string',
    value: 'FILE',
    help: 'write the report to FILE (schema: dmalg/compare.schema.json)',
  },
  html: { type: 'string', value: 'FILE', help: 'write the report to FILE as a page, with charts' },
  'command-line': { type: 'boolean', help: "put the kernel's command line into the report" },
  'in-lab': { type: 'boolean', help: 'measure in the test kernel (see dmalg lab)' },
  kernel: { type: 'string', value: 'NAME', help: 'with --in-lab: which one (default: aio)' },
};

const { drivers, sizes, arms, repetitions, requests, ...everywhere } = options;

/** Options that are about drivers and requests are iv's alone. */
const verbs: Record<string, Verb> = Object.fromEntries(
  names.map((name) => [
    name,
    {
      usage: '[options]',
      summary: name === 'all' ? 'runs all of them' : `runs the experiment ${name}`,
      example: `dmalg compare ${name} --quick`,
      options: name === 'iv' ? options : everywhere,
      run,
    },
  ]),
);
verbs['diff'] = {
  usage: 'BEFORE[,BEFORE2...] AFTER[,AFTER2...] [--json FILE]',
  summary: 'compares reports of --json, several runs a side',
  example: 'dmalg compare diff before.json after.json',
  options: { json: options['json']! },
  run,
};

const armWidth = Math.max(...ivArms.map(({ name }) => name.length));

export const compare: Command = {
  name: 'compare',
  usage: `${names.join('|')} [options] | diff BEFORE AFTER [--json FILE]`,
  summary: 'Measures what five threads of the kernel lists argue about, and makes a report of it.',
  details: [
    'iv: requests whose IV is what the one before has left. Where should they wait for it? In per cent of requests that do not depend on',
    'each other:',
    ...ivArms.map(({ name, what }) => `  ${name.padEnd(armWidth)}  ${what}`),
    '',
    'Each output is checked against an independent implementation. Arms take turns; +- is half of the middle half of the rounds. Two arms differ',
    "where the signed-rank test over the rounds gives less than 0.05 after Holm's correction: with fewer than 6 rounds it never does, with 4 pairs in a group 8 are needed.",
    'Drivers in cryptd(...) are made in the lab only.',
    '',
    "verity: the blocks of a verity device's bios hashed one after another; all at once, with memory for each; with one reserved request and a mempool.",
    'Rate, bytes that a bio takes, and who fails where there is no memory; with FEC, ignore_zero_blocks and check_at_most_once.',
    '',
    "workqueue: dm-crypt with and without its work queues on RAM, with the null cipher and with AES-XTS; in the lab the kernel's own dm-crypt beside it,",
    'driven by fio.',
    '',
    'units: bios of 64 units of 4 KiB: a request for each unit; a chain of them; the whole bio, cut at the bottom; node:crypto; with and without',
    "a queue. Where a bio's time goes.",
    '',
    'mempool: two to eight devices on each other, verity read and crypt written under load, in a machine without memory: with a mempool for each',
    'device, and with one for all of them; reserves of 16 and 1 elements (crypt: the pages of one write). A deadlock is proved, and named: who waits',
    'for whom. And what 59 verity devices hold.',
    '',
    'all: these five, and one report. --drivers, --sizes, --arms, --repetitions and --requests are options of iv alone.',
    '',
    'diff: the reports (of --json) of two sides, several runs each, with commas between them: what differs between the machines; how many times as',
    'fast each arm is that both have. The noise from run to run is estimated from the runs of a side; from one run a side no difference is told.',
    '',
    'Exit status: 0; 1 wrong usage; 2 an output was wrong (other than in the arm hazard); 4 a report cannot be read or written, or the lab failed;',
    '6 the kernel has no AF_ALG, or none of the drivers; 130 interrupted: what was measured until then is printed, and no report written.',
  ].join('\n'),
  options,
  verbs,
  run,
};
