/** A text of somebody else's as a part of one line: runs of line ends and other control characters become a blank. */
export function oneLine(text: string): string {
  return text.replace(/\p{C}+/gu, ' ').trim();
}
