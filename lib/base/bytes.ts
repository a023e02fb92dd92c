/** Errors of arguments have node:crypto's codes. */
type ArgumentErrorCode = 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE' | 'ERR_OUT_OF_RANGE';

function coded<T extends Error>(error: T, code: ArgumentErrorCode): T & { code: ArgumentErrorCode } {
  return Object.assign(error, { code });
}

export const typeError = (message: string) => coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE');
export const valueError = (message: string) => coded(new TypeError(message), 'ERR_INVALID_ARG_VALUE');
export const rangeError = (message: string, options?: ErrorOptions) =>
  coded(new RangeError(message, options), 'ERR_OUT_OF_RANGE');

/** The one grammar of argument errors: what, expected, got. */
export function wrongType(title: string, expected: string, got: unknown): TypeError {
  const kind = got === null ? 'null' : typeof got === 'object' ? (got.constructor?.name ?? 'object') : typeof got;
  return typeError(`${title}: expected ${expected}, got ${kind}`);
}

export function wrongSize(title: string, expected: string, got: number | string): RangeError {
  return rangeError(`${title}: expected ${expected}, got ${got}`);
}

/** A prototype's own getter: what an object itself answers, whatever properties it has been given. */
function trueGetter<T>(of: object, name: PropertyKey): (self: unknown) => T {
  const { get } = Object.getOwnPropertyDescriptor(of, name)!;
  return Function.prototype.call.bind(get!) as (self: unknown) => T;
}

const views: object = Object.getPrototypeOf(Uint8Array.prototype);
const kindOf = trueGetter<string | undefined>(views, Symbol.toStringTag);
const lengthOf = trueGetter<number>(views, 'length');
const sizeOf = trueGetter<number>(views, 'byteLength');
const offsetOf = trueGetter<number>(views, 'byteOffset');
const memoryOf = trueGetter<ArrayBufferLike>(views, 'buffer');
const dataViewGetters = [
  trueGetter<ArrayBufferLike>(DataView.prototype, 'buffer'),
  trueGetter<number>(DataView.prototype, 'byteOffset'),
  trueGetter<number>(DataView.prototype, 'byteLength'),
] as const;
/** Throws for a SharedArrayBuffer. */
const isResizable = trueGetter<boolean>(ArrayBuffer.prototype, 'resizable');

/**
 * Checks that native code may work on these bytes while JavaScript runs: a Uint8Array on memory that is neither shared,
 * nor resizable, nor detached. @throws TypeError naming the argument
 */
export function checkBytes(title: string, value: Uint8Array): void {
  checkView(title, value, 'Uint8Array', 'a Uint8Array or Buffer');
}

/**
 * The same for typed arrays of any kind. One is refused, too, whose length is hidden by a property of its own or by a
 * subclass. @throws TypeError naming the argument
 */
export function checkView(
  title: string,
  value: Uint8Array | Int32Array,
  kind: 'Uint8Array' | 'Int32Array',
  expected: string = kind,
): void {
  if (kindOf(value) !== kind) throw wrongType(title, expected, value);
  const memory = memoryOf(value);
  let resizable: boolean;
  try {
    resizable = isResizable(memory);
  } catch {
    throw wrongType(title, 'bytes that are not shared', memory);
  }
  if (resizable) throw typeError(`${title}: expected bytes of fixed size, got a resizable ArrayBuffer`);
  if (value.length !== lengthOf(value) || value.byteLength !== sizeOf(value))
    throw typeError(`${title}: expected ${expected}, got one that hides its length`);
  if (lengthOf(value) === 0) checkAttached(title, value);
}

/** The true bytes of a view of any kind; a Uint8Array is given back as it is, for checkBytes to look at. */
export function bytesOfView(view: NodeJS.ArrayBufferView): Uint8Array {
  const kind = kindOf(view);
  if (kind === 'Uint8Array') return view as Uint8Array;
  const [memory, offset, size] = kind === undefined ? dataViewGetters : [memoryOf, offsetOf, sizeOf];
  return new Uint8Array(memory(view) as ArrayBuffer, offset(view), size(view));
}

/** Whether two views have bytes in common. */
export function overlap(a: NodeJS.TypedArray, b: NodeJS.TypedArray): boolean {
  if (memoryOf(a) !== memoryOf(b)) return false;
  return offsetOf(a) < offsetOf(b) + sizeOf(b) && offsetOf(b) < offsetOf(a) + sizeOf(a);
}

/** Where it begins in its memory. */
export const byteOffsetOf: (view: Uint8Array) => number = offsetOf;

/** A detached buffer looks like an empty one. @throws TypeError */
export function checkAttached(title: string, value: Uint8Array | Int32Array): void {
  try {
    new Uint8Array(memoryOf(value));
  } catch {
    throw typeError(`${title}: expected bytes, got a detached ArrayBuffer`);
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
  if (!words.includes(value)) throw valueError(`${title}: expected ${words.join(', ')}, got ${String(value)}`);
}

export const noBytes = new Uint8Array(0);
