import type { FecReport } from '../../verity/fec/fec-check.js';
import type { Repair } from '../../verity/repair.js';
import type { BadBlock } from '../../verity/verdict.js';
import { type Verification, verifyVerity } from '../../verity/verify.js';
import type { Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { integerOption, stringOption } from '../option-values.js';
import { counted } from './counted.js';
import { fecOption, imageArguments, imageOptions } from './options.js';
import { withProgress } from './progress.js';
import { readRootHash } from './root-hash.js';

/** `dmalg verity verify DATA HASH ROOT` */
export async function verifyImage(invocation: Invocation): Promise<number> {
  const { values } = invocation;
  const { data, hash, root } = imageArguments(invocation);
  const rootHash = await readRootHash(root, stringOption(invocation, 'root-hash-file'));
  const options = {
    ...imageOptions(invocation),
    maxErrors: integerOption(invocation, 'max-errors', 1000),
  };
  const found = await withProgress(invocation, (run) => verifyVerity(data, hash, rootHash, { ...options, ...run }));
  if (!found.good) process.stderr.write(veritysetupLines(found));
  const fec = fecOption(invocation);
  const report =
    fec &&
    (await withProgress(invocation, async ({ signal }) => {
      const { checkVerityFec } = await import('../../verity/fec/fec-check.js');
      return checkVerityFec(data, hash, { ...options, fec, signal });
    }));
  if (report) process.stderr.write(fecLines(report, found.good));
  if (values.json)
    process.stdout.write(`${JSON.stringify({ ...shown(found), ...(report && { fec: report }) }, null, 2)}\n`);
  else if (!found.good) process.stdout.write(listing(found));
  if (found.good) return Exit.done;
  // As veritysetup ends, unless no repair would give the root hash.
  const isRepairable = report !== undefined && report.beyond === 0 && report.repairable > 0;
  const repair = async () => {
    const { repairVerity } = await import('../../verity/repair.js');
    return repairVerity(data, hash, rootHash, { ...options, fec: fec!, to: 'dry-run' });
  };
  const mayBeMended = isRepairable && (found.rootHash || (await canMend(repair)));
  return mayBeMended ? Exit.done : Exit.verification;
}

async function canMend(repair: () => Promise<Repair>): Promise<boolean> {
  return repair().then(
    ({ good }) => good,
    () => false,
  );
}

/** What veritysetup says of the FEC area where the image is bad; it does not look at it where that is good. */
function fecLines({ repairable, beyond, firstBeyond }: FecReport, good: boolean): string {
  if (good && repairable + beyond === 0) return '';
  if (beyond > 0)
    return good
      ? `The FEC area does not fit the data, from RS block ${firstBeyond} on.\n`
      : `Failed to repair parity for block ${firstBeyond}.\nErrors cannot be repaired with FEC device.\n`;
  return `Found ${repairable} repairable errors with FEC device.\n`;
}

/** What veritysetup says, and where it would have stopped. */
function veritysetupLines({ rootHash, bad }: Verification): string {
  if (!rootHash) return 'Verification of root hash failed.\n';
  const [first] = bad;
  const where = first?.reason === 'spare' ? 'Spare area is not zeroed' : 'Verification failed';
  const line = first ? `${where} at position ${first.position}.\n` : '';
  return `${line}Verification of data area failed.\n`;
}

function listing(found: Verification): string {
  const { rootHash, bad, badHashBlocks, badDataBlocks, unverifiableHashBlocks, unverifiableDataBlocks } = found;
  const more = badHashBlocks + badDataBlocks - bad.length;
  const lines = bad.map((block) => badLine(block, rootHash));
  if (more > 0) lines.push(`and ${more} more`);
  lines.push(`bad: ${counted(badDataBlocks, 'data block')}, ${counted(badHashBlocks, 'hash block')}`);
  if (unverifiableHashBlocks + unverifiableDataBlocks > 0)
    lines.push(
      `cannot be judged, being below bad hash blocks: ${counted(unverifiableDataBlocks, 'data block')}, ${counted(unverifiableHashBlocks, 'hash block')}`,
    );
  return `${lines.join('\n')}\n`;
}

function badLine({ area, level, block, position, path, reason }: BadBlock, rootHash: boolean): string {
  const what = area === 'data' ? `data block ${block}` : `hash block ${block} (level ${level})`;
  const why = reason === 'spare' ? 'its spare area is not zeroed' : 'its digest differs';
  return `${path}: ${what} at ${position}: ${rootHash ? why : 'it does not have the root hash given'}`;
}

function shown({ parameters, ...found }: Verification) {
  return { ...found, parameters: { ...parameters, salt: Buffer.from(parameters.salt).toString('hex') } };
}
