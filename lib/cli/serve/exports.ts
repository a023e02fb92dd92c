import type { Device } from '../../dm/device.js';
import { openTable } from '../../dm/open-table.js';
import { parseTable } from '../../dm/table.js';
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

/** Opens the tables. @throws CliError, and what openTable throws */
export async function openExports(invocation: Invocation): Promise<ServedExport[]> {
  const values = (invocation.values.table as string[] | undefined) ?? [];
  if (values.length === 0) throw new CliError("--table is missing; see 'dmalg serve --help'");
  const named = values.map(parseExport);
  const twice = named.find(({ name }, index) => named.findIndex((other) => other.name === name) !== index);
  if (twice) throw new CliError(`--table: two are called '${twice.name}'; --table NAME=LINE gives a name`);
  const options = { ...runOptions(invocation), direct: invocation.values.direct === true };
  const exports: ServedExport[] = [];
  try {
    for (const { name, table } of named) {
      const text = tableText(table);
      const isReadOnly = ({ type }: { type: string }) => targetTypes.find((target) => target.name === type)?.readOnly;
      const readOnly = invocation.values['read-only'] === true || parseTable(text).some(isReadOnly);
      const prefix = name === '' ? '' : `export '${name}': `;
      const blocks = new BlockLog((line) => log(prefix + line));
      const backing = await openTable(text, {
        ...options,
        readOnly,
        onEvent: (event) => blocks.add(event),
        nbd: { onReconnect: (event) => log(prefix + describeReconnection(event)) },
      });
      exports.push({ name, readOnly, backing, blocks });
    }
    return exports;
  } catch (error) {
    for (const { backing } of exports) await backing.close();
    throw error;
  }
}

/**
 * `NAME=LINE`, `NAME=@FILE`, or without a name the default export. A line begins with two numbers, a comment with # and a file with @, so that
 * what stands before the first = of one is never a name.
 */
function parseExport(value: string): { name: string; table: string } {
  const [, name, table] = /^(?!\s*\d+\s+\d+\s)([^\s=@#][^=\p{Cc}]*)=(.*)$/su.exec(value) ?? [];
  return name === undefined ? { name: '', table: value } : { name, table: table! };
}
