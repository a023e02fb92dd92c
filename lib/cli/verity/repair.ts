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
import { counted } from './counted.js';
import { fecOption, imageArguments, imageOptions } from './options.js';
import { withProgress } from './progress.js';
import { readRootHash } from './root-hash.js';

/** `dmalg verity repair DATA HASH ROOT --fec-device FILE` */
export async function repairImage(invocation: Invocation): Promise<number> {
  const { values } = invocation;
  const { data, hash, root } = imageArguments(invocation);
  const fec = fecOption(invocation);
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

function listing({ blocks, mended, notWritten, left, unjudgedParity }: Repair, dryRun: boolean): string {
  const total = [mended, notWritten, left].reduce((sum, { data, hash, fec }) => sum + data + hash + fec, 0);
  const lines = blocks.map((block) => blockLine(block, dryRun));
  if (total > blocks.length) lines.push(`and ${total - blocks.length} more`);
  lines.push(`${dryRun ? 'would be mended' : 'mended'}: ${counts(mended)}`);
  if (notWritten.data + notWritten.hash + notWritten.fec > 0)
    lines.push(`not written, as there is no --output-hash or --output-fec for it: ${counts(notWritten)}`);
  if (left.data + left.hash + left.fec > 0) lines.push(`cannot be mended: ${counts(left)}`);
  if (unjudgedParity > 0)
    lines.push(
      `parity that does not fit, where not all blocks can be judged: ${counted(unjudgedParity, 'set')} of blocks`,
    );
  return `${lines.join('\n')}\n`;
}

const words = { data: 'data block', hash: 'hash block', fec: 'parity block' };

function blockLine({ area, path, block, position, outcome }: RepairedBlock, dryRun: boolean): string {
  const done = {
    mended: dryRun ? 'would be mended' : 'mended',
    'not written': 'not written',
    left: 'cannot be mended',
  };
  return `${path}: ${words[area]} ${block} at ${position}: ${done[outcome]}`;
}

function counts({ data, hash, fec }: RepairCounts): string {
  return [counted(data, words.data), counted(hash, words.hash), counted(fec, words.fec)].join(', ');
}
