/** A line for whoever looks after the server. */
export function log(line: string): void {
  process.stderr.write(`dmalg: ${line}\n`);
}
