import {
  type Repair,
  type RepairCounts,
  type RepairedBlock,
  type RepairOptions,
  repairVerity,
} from '../../verity/repair.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { integerOption, stringOption } from '../option-values.js';
import { fecInput, imageArguments, imageOptions } from './options.js';
import { withProgress } from './progress.js';
import { readRootHash } from './root-hash.js';
import { areaWords, blockCounts, counted, unfitLine, unjudgedLine } from './words.js';

/** `dmalg verity repair DATA HASH ROOT --fec-device FILE` */
export async function repairImage(invocation: Invocation): Promise<number> {
  const { values } = invocation;
  const { data, hash, root } = imageArguments(invocation);
  const fec = fecInput(invocation);
  if (fec === undefined) throw new CliError("repair: --fec-device is missing; see 'dmalg verity --help'");
  const to = destination(invocation);
  const rootHash = await readRootHash(root, stringOption(invocation, 'root-hash-file'));
  const options: RepairOptions = {
    ...imageOptions(invocation),
    fec,
    to,
    maxErrors: integerOption(invocation, 'max-errors', 1000),
  };
  const repair = await withProgress(invocation, (run) =>
    repairVerity(data, hash, rootHash, { ...options, ...run }),
  ).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? new CliError(error.message, Exit.busy) : error;
  });
  if (values.json) process.stdout.write(`${JSON.stringify(repair, null, 2)}\n`);
  else process.stdout.write(listing(repair, to === 'dry-run'));
  if (repair.unjudgedParity > 0) process.stderr.write(`WARNING: ${unfitLine(repair.unjudgedParity)}\n`);
  return repair.good ? Exit.done : Exit.verification;
}

/** @throws CliError unless it is clear where the result is to go */
function destination(invocation: Invocation): RepairOptions['to'] {
  const { values } = invocation;
  const data = stringOption(invocation, 'output');
  const [hash, fec] = [stringOption(invocation, 'output-hash'), stringOption(invocation, 'output-fec')];
  const dryRun = values['dry-run'] === true;
  if ((values['in-place'] === true) === (data !== undefined) && !(dryRun && data === undefined))
    throw new CliError('repair: expected one of --in-place, --output FILE, --dry-run');
  if (data === undefined && (hash !== undefined || fec !== undefined))
    throw new CliError('--output-hash, --output-fec: expected --output, too');
  if (dryRun) return 'dry-run';
  return data === undefined
    ? 'in-place'
    : { data, ...(hash !== undefined && { hash }), ...(fec !== undefined && { fec }) };
}

/** What was wrong, and in the last line the verdict. */
function listing(repair: Repair, dryRun: boolean): string {
  const { blocks, mended, notWritten, left, unjudged, good } = repair;
  const sum = (numbers: object) => Object.values(numbers).reduce((all: number, each: number) => all + each, 0);
  const total = sum(mended) + sum(notWritten) + sum(left);
  const lines = blocks.map(blockLine);
  if (total > blocks.length) lines.push(`and ${total - blocks.length} more`);
  lines.push(`${dryRun ? 'would be mended' : 'mended'}: ${counts(mended)}`);
  if (sum(notWritten) > 0)
    lines.push(`not written, as there is no --output-hash or --output-fec for it: ${counts(notWritten)}`);
  if (sum(unjudged) > 0) lines.push(unjudgedLine(unjudged));
  if (sum(left) > 0) lines.push(`cannot be mended: ${blockCounts(left)}`);
  else if (!good && sum(unjudged) > 0) lines.push('cannot be mended');
  return `${lines.join('\n')}\n`;
}

function blockLine({ area, path, block, position, outcome }: RepairedBlock): string {
  return `${path}: ${areaWords[area]} ${block} at ${position}: ${outcome === 'left' ? 'cannot be mended' : outcome}`;
}

function counts({ data, hash, fec }: RepairCounts): string {
  return `${blockCounts({ data, hash })}, ${counted(fec, areaWords.fec)}`;
}
