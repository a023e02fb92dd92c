import { maxString } from '../protocol.js';

/** An option whose data are not what they should be. */
export class OptionDataError extends Error {
  override readonly name = 'OptionDataError';
}

/** Takes an option's data apart. Every method @throws OptionDataError where there is less, or a string is too long or no UTF-8. */
export class OptionData {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  u16(): number {
    return this.#take(2).readUInt16BE();
  }

  u32(): number {
    return this.#take(4).readUInt32BE();
  }

  /** Its length before it. */
  string(): string {
    return decodeString(this.#take(this.u32()));
  }

  /** Nothing may be left. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new OptionDataError(`${this.#bytes.length - this.#at} bytes too many`);
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new OptionDataError(`${end - this.#bytes.length} bytes too few`);
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws OptionDataError */
export function decodeString(bytes: Buffer): string {
  if (bytes.length > maxString) throw new OptionDataError(`a string of more than ${maxString} bytes`);
  try {
    return utf8.decode(bytes);
  } catch {
    throw new OptionDataError('a string that is no UTF-8');
  }
}
