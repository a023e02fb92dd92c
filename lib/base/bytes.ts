/** The one grammar of argument errors: what, expected, got. */
export function wrongType(title: string, expected: string, got: unknown): TypeError {
  const kind = got === null ? 'null' : typeof got === 'object' ? (got.constructor?.name ?? 'object') : typeof got;
  return new TypeError(`${title}: expected ${expected}, got ${kind}`);
}

export function wrongSize(title: string, expected: string, got: number | string): RangeError {
  return new RangeError(`${title}: expected ${expected}, got ${got}`);
}

/**
 * Checks that native code may work on these bytes while JavaScript runs: a Uint8Array on memory that is neither shared,
 * nor resizable, nor detached. @throws TypeError naming the argument
 */
export function checkBytes(title: string, value: Uint8Array): void {
  if (!(value instanceof Uint8Array)) throw wrongType(title, 'a Uint8Array or Buffer', value);
  const memory = value.buffer as ArrayBuffer & { resizable?: boolean };
  if (!(memory instanceof ArrayBuffer)) throw wrongType(title, 'bytes that are not shared', memory);
  if (memory.resizable) throw new TypeError(`${title}: expected bytes of fixed size, got a resizable ArrayBuffer`);
  if (value.length === 0) checkAttached(title, value);
}

/** A detached buffer looks like an empty one. @throws TypeError */
export function checkAttached(title: string, value: Uint8Array): void {
  try {
    new Uint8Array(value.buffer);
  } catch {
    throw new TypeError(`${title}: expected bytes, got a detached ArrayBuffer`);
  }
}

/** Checks a whole number in a range. @throws TypeError, RangeError */
export function checkInteger(title: string, value: number, min: number, max: number): void {
  if (typeof value !== 'number') throw wrongType(title, 'a number', value);
  if (!Number.isInteger(value) || value < min || value > max)
    throw wrongSize(title, `a whole number from ${min} to ${max}`, value);
}

/** Checks one of a few words. @throws TypeError */
export function checkWord<T extends string>(title: string, value: T, words: readonly T[]): void {
  if (!words.includes(value)) throw new TypeError(`${title}: expected ${words.join(', ')}, got ${String(value)}`);
}

export const noBytes = new Uint8Array(0);
