import { statSync } from 'node:fs';
import { sectorSize } from '../../dm/bio.js';
import type { Device } from '../../dm/device.js';
import { type OpenTableOptions, openTable, openWhole } from '../../dm/open-table.js';
import { parseTable } from '../../dm/table.js';
import { TableError } from '../../dm/table-error.js';
import { targetTypes } from '../../dm/targets/index.js';
import type { Export } from '../../nbd/server/export.js';
import { runOptions } from '../alg-options.js';
import { BlockLog } from '../block-log.js';
import { CliError, type Invocation } from '../command.js';
import { describeReconnection } from '../device-events.js';
import { tableText } from '../table-option.js';
import { log } from './log.js';

export interface ServedExport extends Export {
  backing: Device;
  blocks: BlockLog;
}

/** What is to be served under a name: a table, or a storage as it is. */
interface Offer {
  name: string;
  what: { table: string } | { storage: string };
}

/** Opens tables and storages. @throws CliError, and what openTable throws */
export async function openExports(invocation: Invocation, storages: readonly string[]): Promise<ServedExport[]> {
  const tables = (invocation.values.table as string[] | undefined) ?? [];
  const offers = [...tables.map(tableOffer), ...storages.map(storageOffer)];
  if (offers.length === 0) throw new CliError("STORAGE or --table is missing; see 'dmalg serve --help'");
  const twice = offers.find(({ name }, index) => offers.findIndex((other) => other.name === name) !== index);
  if (twice)
    throw new CliError(`two exports are called '${twice.name}'; NAME=STORAGE or --table NAME=LINE gives a name`);
  const exports: ServedExport[] = [];
  try {
    for (const offer of offers) exports.push(await openExport(invocation, offer));
    return exports;
  } catch (error) {
    for (const { backing } of exports) await backing.close();
    throw error;
  }
}

/** Sectors that are deciphered sooner than a lane is woken: clients of virtual machines and databases ask for 4 to 16 KiB. */
const inlineBytes = 16 << 10;

async function openExport(invocation: Invocation, { name, what }: Offer): Promise<ServedExport> {
  const prefix = name === '' ? '' : `export '${name}': `;
  const say = (line: string) => log(prefix + line);
  const blocks = new BlockLog(say);
  const asked = invocation.values['read-only'] === true;
  const options: OpenTableOptions = {
    ...runOptions(invocation),
    direct: invocation.values.direct === true,
    inlineBytes,
    onEvent: (event) => blocks.add(event),
    nbd: { onReconnect: (event) => say(describeReconnection(event)) },
  };
  if ('storage' in what)
    return { name, blocks, ...(await openStorage(what.storage, { ...options, readOnly: asked }, say)) };
  const text = tableText(what.table);
  const isReadOnly = ({ type }: { type: string }) => targetTypes.find((target) => target.name === type)?.readOnly;
  const readOnly = asked || parseTable(text).some(isReadOnly);
  return { name, blocks, readOnly, backing: await openTable(text, { ...options, readOnly }) };
}

/** Codes of a storage that nobody here may write. */
const unwritable = ['EROFS', 'EACCES', 'EPERM'];

/** Read-only where it cannot be written, as nbdkit's file plugin does. */
async function openStorage(
  spec: string,
  options: OpenTableOptions & { readOnly: boolean },
  say: (line: string) => void,
): Promise<{ readOnly: boolean; backing: Device }> {
  const stat = statSync(spec, { throwIfNoEntry: false });
  const rest = stat?.isFile() ? stat.size % sectorSize : 0;
  if (rest > 0) say(`warning: the last ${rest} bytes of ${spec} are no whole sector, and are not served`);
  try {
    return { readOnly: options.readOnly, backing: await openWhole(spec, options) };
  } catch (error) {
    if (options.readOnly || !(error instanceof TableError) || !unwritable.includes(error.code)) throw error;
    const backing = await openWhole(spec, { ...options, readOnly: true });
    say(`${spec} cannot be written (${error.code}): it is served read-only`);
    return { readOnly: true, backing };
  }
}

/**
 * `NAME=LINE`, `NAME=@FILE`, or without a name the default export. A line begins with two numbers, a comment with # and a file with @, so that
 * what stands before the first = of one is never a name.
 */
function tableOffer(value: string): Offer {
  const [, name, table] = /^(?!\s*\d+\s+\d+\s)([^\s=@#][^=\p{Cc}]*)=(.*)$/su.exec(value) ?? [];
  return name === undefined ? { name: '', what: { table: value } } : { name, what: { table: table! } };
}

/** `NAME=STORAGE`, or without a name the default export. What begins as a path or as a storage other than a file is no name. */
function storageOffer(value: string): Offer {
  const [, name, storage] = /^(?![./]|(?:nbds?(?:\+unix)?|ram|at|gpt|luks):)([^=\p{Cc}]+)=(.+)$/su.exec(value) ?? [];
  return name === undefined ? { name: '', what: { storage: value } } : { name, what: { storage: storage! } };
}
