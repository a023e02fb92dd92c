/**
 * Cuts a string into arguments at white space; a backslash takes the next character as it is (drivers/md/dm-table.c:dm_split_args).
 * A backslash that ends the string is a character.
 */
export function splitArgs(text: string): string[] {
  const args: string[] = [];
  let arg: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '\\' && at + 1 < text.length) arg = (arg ?? '') + text[++at];
    else if (isSpace(character)) {
      if (arg !== undefined) args.push(arg);
      arg = undefined;
    } else arg = (arg ?? '') + character;
  }
  if (arg !== undefined) args.push(arg);
  return args;
}

/** The other direction. What is empty, or no character of a line, cannot be written. */
export function joinArgs(args: readonly string[]): string {
  return args.map((arg) => arg.replace(/[\\ \t\v\f\r\n]/g, '\\$&')).join(' ');
}

/** lib/ctype.c:isspace, in ASCII. */
function isSpace(character: string): boolean {
  return character === ' ' || (character >= '\t' && character <= '\r');
}
