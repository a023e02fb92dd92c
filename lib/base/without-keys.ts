/**
 * A text of the user's without what may be a key in hexadecimal: 16 digits and more with a letter among them, or 32 and more. It tells their number. Whoever
 * mixes up the arguments of a table line or of a command puts a key where a name is expected, and names stand in messages. A path keeps its digits: a key
 * has no slash.
 */
export function withoutKeys(text: string): string {
  return text.replace(/[^\s'"]+/g, (word) => (word.includes('/') ? word : word.replace(hexRun, describe)));
}

/** A message of ours without those words of the user's that may be keys. What else looks like one, as a size does, is ours. */
export function withoutKeysOf(words: readonly string[], message: string): string {
  const hidden = words
    .filter((word) => withoutKeys(word) !== word)
    .flatMap((word) => [word, ...(word.match(hexRun) ?? [])]);
  hidden.sort((a, b) => b.length - a.length);
  return hidden.reduce((text, word) => text.replaceAll(word, withoutKeys(word)), message);
}

const hexRun = /(?=\d*[a-f])[0-9a-f]{16,}|\d{32,}/gi;

function describe(digits: string): string {
  return `<${digits.length} hex digits>`;
}
