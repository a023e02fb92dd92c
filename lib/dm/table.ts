import { joinArgs, splitArgs } from './split-args.js';
import { TableError } from './table-error.js';

/** A line of a table: which sectors of the device are whose. */
export interface TableLine {
  start: number;
  length: number;
  /** The target's name. */
  type: string;
  args: string[];
}

/**
 * Parses a table: `<start> <length> <type> <args>` on each line, as `dmsetup create` reads it; empty lines and lines that start with # are none.
 * The first line starts at 0 and each next one where the one before ends (drivers/md/dm-table.c:dm_table_add_target).
 * @throws TableError
 */
export function parseTable(text: string): TableLine[] {
  return parseNumbered(text).map(({ line }) => line);
}

/** The same, each with its number in the text, from 1, for whoever finds something wrong with it. @throws TableError */
export function parseNumbered(text: string): { number: number; line: TableLine }[] {
  const lines: { number: number; line: TableLine }[] = [];
  let end = 0;
  for (const [index, line] of text.split('\n').entries()) {
    if (/^[ \t-\r]*(#|$)/.test(line)) continue;
    const parsed = parseLine(line, index + 1);
    if (parsed.start !== end)
      throw new TableError('Gap in table', {
        line: index + 1,
        hint: `it starts at sector ${parsed.start}, expected ${end}`,
      });
    end = parsed.start + parsed.length;
    lines.push({ number: index + 1, line: parsed });
  }
  if (lines.length === 0)
    throw new TableError('table has no targets', { hint: 'expected <start> <length> <type> ...' });
  return lines;
}

function parseLine(text: string, line: number): TableLine {
  const head = /^[ \t-\r]*([^ \t-\r]+)[ \t-\r]+([^ \t-\r]+)[ \t-\r]+([^ \t-\r]+)(?:[ \t-\r]+(.*))?$/s.exec(text);
  if (!head) throw new TableError('Invalid format', { line, hint: 'expected <start> <length> <type> ...' });
  const [, start, length, type, rest = ''] = head;
  const parsed = {
    start: sectors(start!, 'start', line),
    length: sectors(length!, 'length', line),
    type: type!,
    args: splitArgs(rest),
  };
  if (parsed.length === 0) throw new TableError('zero-length target', { line, target: parsed.type });
  if (!Number.isSafeInteger(parsed.start + parsed.length))
    throw new TableError('start + length is too large', { line, target: parsed.type });
  return parsed;
}

function sectors(text: string, what: string, line: number): number {
  const value = parseNumber(text);
  if (value !== undefined) return value;
  throw new TableError(`Invalid ${what}`, { line, hint: `expected whole sectors, got '${text}'` });
}

/** A number as the kernel takes it in a table line, digits alone, and no more than is exact; undefined for all else. */
export function parseNumber(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** The line that parses to these fields. @throws TableError for an argument that no line can hold */
export function formatLine({ start, length, type, args }: TableLine): string {
  const argument = args.findIndex((arg) => arg === '' || arg.includes('\n'));
  if (argument !== -1)
    throw new TableError('Invalid argument', { target: type, argument, hint: 'empty, or with a line break' });
  return `${start} ${length} ${type}${args.length ? ` ${joinArgs(args)}` : ''}`;
}

/** The text that parses to these lines. */
export function formatTable(lines: readonly TableLine[]): string {
  return lines.map(formatLine).join('\n');
}
