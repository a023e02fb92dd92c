import { withoutKeys } from '../base/without-keys.js';

export interface TableErrorFields {
  /** Index in the target's arguments of the one that is wrong, from 0. */
  argument?: number;
  /** That argument, where it may be shown: never a key. */
  value?: string;
  /** Name of an errno: EINVAL, the default, is a wrong table; others say what is wrong with a device. */
  code?: string;
  /** The remedy, or what the reason leaves open. */
  hint?: string;
  /** Line of the table, from 1. */
  line?: number;
  target?: string;
}

/** A table that is none, or that a target refuses: in the kernel's words (`ti->error`), and which argument it is about. */
export class TableError extends Error {
  override readonly name = 'TableError';
  readonly code: string;
  readonly argument: number | undefined;
  readonly value: string | undefined;
  readonly hint: string | undefined;
  readonly line: number | undefined;
  readonly target: string | undefined;
  /** The kernel's words alone. */
  readonly reason: string;
  readonly fields: TableErrorFields;

  /** What may be a key, put where something else belongs, is not repeated. */
  constructor(words: string, given: TableErrorFields = {}, options?: ErrorOptions) {
    const reason = withoutKeys(words);
    const fields = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, typeof value === 'string' ? withoutKeys(value) : value]),
    ) as TableErrorFields;
    super(sentence(reason, fields), options);
    this.reason = reason;
    this.fields = fields;
    this.code = fields.code ?? 'EINVAL';
    this.argument = fields.argument;
    this.value = fields.value;
    this.hint = fields.hint;
    this.line = fields.line;
    this.target = fields.target;
  }

  /** The same error with its place in the table, which a constructor does not know. */
  at(line: number, target: string): TableError {
    const cause = repeatsKeys(this) ? undefined : this;
    return new TableError(this.reason, { ...this.fields, line, target }, cause && { cause });
  }
}

/** Whether an error that lies below says what may be a key. */
function repeatsKeys(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return withoutKeys(error.message) !== error.message || repeatsKeys(error.cause);
}

function sentence(reason: string, { argument, value, hint, line, target }: TableErrorFields): string {
  const place = line === undefined ? 'table' : `table line ${line}`;
  const which = argument === undefined ? '' : ` (argument ${argument + 1}${value === undefined ? '' : `: '${value}'`})`;
  return `${place}: ${target === undefined ? '' : `${target}: `}${reason}${which}${hint === undefined ? '' : `; ${hint}`}`;
}
