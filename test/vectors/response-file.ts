/** One vector: its fields, with those of its section and of the paragraphs before that hold for all that follow. */
export class Vector {
  readonly #fields: Map<string, string>;
  constructor(fields: Map<string, string>) {
    this.#fields = fields;
  }
  has(name: string): boolean {
    return this.#fields.has(name.toLowerCase());
  }
  text(name: string): string {
    const value = this.#fields.get(name.toLowerCase());
    if (value === undefined) throw new Error(`the vector has no ${name}: ${this}`);
    return value;
  }
  number(name: string): number {
    return Number(this.text(name));
  }
  /** Bytes given in hex, or as text in quotes. */
  bytes(name: string): Buffer {
    const value = this.text(name);
    if (value.startsWith('"')) return Buffer.from(value.slice(1, -1));
    const bytes = Buffer.from(value, 'hex');
    if (bytes.length * 2 !== value.length) throw new Error(`${name} is not hex: ${value}`);
    return bytes;
  }
  toString(): string {
    return [...this.#fields].map(([name, value]) => `${name}=${value.slice(0, 80)}`).join(' ');
  }
}

/**
 * Reads a response file of NIST's CAVP, or what is written like one. A paragraph with the field `result` is a vector; the
 * fields of others, and those in brackets, go with all vectors after them.
 */
export function parseResponseFile(text: string, result: string): Vector[] {
  const vectors: Vector[] = [];
  const shared = new Map<string, string>();
  let paragraph = new Map<string, string>();
  const end = () => {
    if (paragraph.has(result.toLowerCase())) vectors.push(new Vector(new Map([...shared, ...paragraph])));
    else for (const [name, value] of paragraph) shared.set(name, value);
    paragraph = new Map();
  };
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line.startsWith('#')) continue;
    const section = /^\[(.*)\]$/.exec(line)?.[1];
    if (line === '' || section !== undefined) end();
    for (const field of section !== undefined ? section.split(',') : line ? [line] : []) {
      const [, name = field, value = ''] = /^([^=]*?)\s*=\s*(.*)$/.exec(field.trim()) ?? [];
      (section !== undefined ? shared : paragraph).set(name.trim().toLowerCase(), value);
    }
  }
  end();
  return vectors;
}

/** Reads NTT's own form of the Camellia vectors: `K No.001 : 00 ...`, then pairs of P and C. */
export function parseCamellia(text: string): Vector[] {
  const vectors: Vector[] = [];
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, number, hex] = /^([KPC]) No\.(\d+) : (.*)$/.exec(line.trim()) ?? [];
    if (!name) continue;
    fields.set({ K: 'key', P: 'plaintext', C: 'ciphertext' }[name]!, hex!.replaceAll(' ', ''));
    fields.set('count', number!);
    if (name === 'C') vectors.push(new Vector(new Map(fields)));
  }
  return vectors;
}
