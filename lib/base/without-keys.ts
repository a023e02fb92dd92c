/**
 * A text in which nothing is left that may be a key in hexadecimal: of 16 and more such digits it tells their number. Whoever mixes up the
 * arguments of a table line or of a command puts a key where a name is expected, and names stand in messages. A path keeps its digits: a key has no slash.
 */
export function withoutKeys(text: string): string {
  return text.replace(/[^\s'"]+/g, (word) => (word.includes('/') ? word : word.replace(hexRun, describe)));
}

const hexRun = /[0-9a-f]{16,}/gi;

function describe(digits: string): string {
  return `<${digits.length} hex digits>`;
}
