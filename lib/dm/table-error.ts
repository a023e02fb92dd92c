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

  constructor(
    /** The kernel's words alone. */
    readonly reason: string,
    readonly fields: TableErrorFields = {},
    options?: ErrorOptions,
  ) {
    super(sentence(reason, fields), options);
    this.code = fields.code ?? 'EINVAL';
    this.argument = fields.argument;
    this.value = fields.value;
    this.hint = fields.hint;
    this.line = fields.line;
    this.target = fields.target;
  }

  /** The same error with its place in the table, which a constructor does not know. */
  at(line: number, target: string): TableError {
    return new TableError(this.reason, { ...this.fields, line, target }, { cause: this });
  }
}

function sentence(reason: string, { argument, value, hint, line, target }: TableErrorFields): string {
  const place = line === undefined ? 'table' : `table line ${line}`;
  const which = argument === undefined ? '' : ` (argument ${argument + 1}${value === undefined ? '' : `: '${value}'`})`;
  return `${place}: ${target === undefined ? '' : `${target}: `}${reason}${which}${hint === undefined ? '' : `; ${hint}`}`;
}
