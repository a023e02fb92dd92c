import { dumpVerity } from '../../verity/dump.js';
import { CliError, type Invocation } from '../command.js';
import { Exit } from '../exit.js';
import { headerJson, headerText } from './header.js';
import { fecOption, hashOffsetOption, verityRunOptions } from './options.js';

/** `dmalg verity dump HASH` */
export async function dumpHeader(invocation: Invocation): Promise<number> {
  const [, hash] = invocation.positionals;
  if (hash === undefined) throw new CliError("dump: requires <hash_device> as arguments; see 'dmalg verity --help'");
  const hashOffset = hashOffsetOption(invocation);
  const fec = fecOption(invocation);
  const header = await dumpVerity(hash, { hashOffset, ...verityRunOptions(invocation), ...(fec && { fec }) });
  process.stdout.write(invocation.values.json ? headerJson(header) : headerText(hash, header, hashOffset, fec?.offset));
  return Exit.done;
}
