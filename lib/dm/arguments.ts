import { parseNumber } from './table.js';
import { TableError } from './table-error.js';

/** Takes a target's arguments one after the other, and says in the kernel's words which one is wrong (struct dm_arg_set). */
export class Arguments {
  #next = 0;

  constructor(readonly args: readonly string[]) {}

  /** Index of the argument that is taken next. */
  get index(): number {
    return this.#next;
  }

  get left(): number {
    return this.args.length - this.#next;
  }

  /** @throws TableError with `reason` when there is none left */
  take(reason: string): string {
    const value = this.args[this.#next];
    if (value === undefined) throw new TableError(reason, { argument: this.#next, hint: 'it is missing' });
    this.#next++;
    return value;
  }

  /** A whole number in a range (dm_read_arg). @throws TableError with `reason` */
  number(reason: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const argument = this.#next;
    const value = this.take(reason);
    const parsed = parseNumber(value);
    if (parsed === undefined || parsed < min || parsed > max)
      throw new TableError(reason, {
        argument,
        value,
        hint: `expected a whole number from ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` to ${max}`}`,
      });
    return parsed;
  }

  /** `<count> <arguments>`: the group of that many, of which nothing may miss (dm_read_arg_group). @throws TableError */
  group(reason: string, max: number): Arguments {
    const argument = this.#next;
    const count = this.number(reason, 0, max);
    if (count > this.left)
      throw new TableError(reason, { argument, value: String(count), hint: `${this.left} follow` });
    const group = new Arguments(this.args.slice(0, this.#next + count));
    group.#next = this.#next;
    this.#next += count;
    return group;
  }

  /** The error about the argument taken last. */
  error(reason: string, hint?: string): TableError {
    const argument = this.#next - 1;
    const value = this.args[argument];
    return new TableError(reason, { argument, ...(value !== undefined && { value }), ...(hint && { hint }) });
  }
}
