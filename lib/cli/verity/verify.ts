import type { BadBlock } from '../../verity/verdict.js';
import { type Verification, verifyVerity } from '../../verity/verify.js';
import type { Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { integerOption, stringOption } from '../option-values.js';
import { fecInput, imageArguments, imageOptions } from './options.js';
import { withProgress } from './progress.js';
import { readRootHash } from './root-hash.js';
import { blockCounts, parityWarning, tailWarning, unjudgedLine } from './words.js';

/** `dmalg verity verify DATA HASH ROOT` */
export async function verifyImage(invocation: Invocation): Promise<number> {
  const { values } = invocation;
  const { data, hash, root } = imageArguments(invocation);
  const rootHash = await readRootHash(root, stringOption(invocation, 'root-hash-file'));
  const fec = fecInput(invocation);
  const options = {
    ...imageOptions(invocation),
    ...(fec && { fec }),
    maxErrors: integerOption(invocation, 'max-errors', 1000),
  };
  const found = await withProgress(invocation, (run) => verifyVerity(data, hash, rootHash, { ...options, ...run }));
  process.stderr.write(found.good ? parityWarning(found.fec) : veritysetupLines(found));
  process.stderr.write(tailWarning(data, found.tail));
  if (values.json) process.stdout.write(`${JSON.stringify(shown(found), null, 2)}\n`);
  else if (!found.good) process.stdout.write(listing(found));
  return found.good || found.fec?.good ? Exit.done : Exit.verification;
}

/** What veritysetup says, and where it would have stopped. */
function veritysetupLines({ rootHash, bad, fec }: Verification): string {
  const lines: string[] = [];
  const [first] = bad;
  if (!rootHash) lines.push('Verification of root hash failed.');
  else {
    const where = first?.reason === 'spare' ? 'Spare area is not zeroed' : 'Verification failed';
    if (first) lines.push(`${where} at position ${first.position}.`);
    lines.push('Verification of data area failed.');
  }
  if (fec?.good) lines.push(`Found ${fec.repairable} repairable errors with FEC device.`);
  else if (fec && rootHash) {
    if (fec.firstBeyond !== undefined) lines.push(`Failed to repair parity for block ${fec.firstBeyond}.`);
    lines.push('Errors cannot be repaired with FEC device.');
  }
  return `${lines.join('\n')}\n`;
}

/** What is bad, and in the last line the verdict. */
function listing(found: Verification): string {
  const { rootHash, bad, badHashBlocks, badDataBlocks, unverifiableHashBlocks, unverifiableDataBlocks, fec } = found;
  const more = badHashBlocks + badDataBlocks - bad.length;
  const lines = bad.map((block) => badLine(block, rootHash));
  if (more > 0) lines.push(`and ${more} more`);
  if (unverifiableHashBlocks + unverifiableDataBlocks > 0)
    lines.push(unjudgedLine({ data: unverifiableDataBlocks, hash: unverifiableHashBlocks }));
  const all = blockCounts({ data: badDataBlocks, hash: badHashBlocks });
  if (!fec) lines.push(`bad: ${all}`);
  else if (fec.good) lines.push(`repairable: ${all}`);
  else lines.push(`bad: ${all}; FEC cannot mend ${blockCounts(fec.left)}`);
  return `${lines.join('\n')}\n`;
}

function badLine({ area, level, block, position, path, reason }: BadBlock, rootHash: boolean): string {
  const what = area === 'data' ? `data block ${block}` : `hash block ${block} (level ${level})`;
  const reasons = {
    digest: 'its digest differs',
    spare: 'its spare area is not zeroed',
    unreadable: 'it cannot be read, or its file ends before it does',
  };
  const why = reasons[reason];
  return `${path}: ${what} at ${position}: ${rootHash ? why : 'it does not have the root hash given'}`;
}

function shown({ parameters, ...found }: Verification) {
  return { ...found, parameters: { ...parameters, salt: Buffer.from(parameters.salt).toString('hex') } };
}
