/** What is drawn first is drawn after this long: what is done sooner needs no progress. Milliseconds. */
const delay = 1000;
const interval = 100;
const barWidth = 24;

/**
 * A line on stderr that shows how far a command is: bar, bytes, rate and the time left. Nothing where stderr is not a
 * terminal, with --quiet, and in the first second.
 */
export class Progress {
  readonly #total: number | undefined;
  readonly #shown: boolean;
  readonly #line: typeof progressLine;
  readonly #start = Date.now();
  #done = 0;
  #drawn = this.#start + delay - interval;
  #visible = false;

  /** `total` in bytes, or undefined where it is not known, as of a pipe; or in whatever `line` makes a line of. */
  constructor(total: number | undefined, quiet: boolean, line = progressLine) {
    this.#total = total;
    this.#line = line;
    this.#shown = !quiet && process.stderr.isTTY === true;
  }

  /** So many bytes more are done. */
  advance(bytes: number): void {
    this.#done += bytes;
    const now = Date.now();
    if (!this.#shown || now - this.#drawn < interval) return;
    this.#drawn = now;
    this.#visible = true;
    process.stderr.write(`\r\x1b[K${this.#line(this.#done, this.#total, (now - this.#start) / 1000)}`);
  }

  /** Wipes the line. */
  end(): void {
    if (this.#visible) process.stderr.write('\r\x1b[K');
    this.#visible = false;
  }

  /** Counts what goes by. */
  async *count(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of source) {
      yield chunk;
      this.advance(chunk.length);
    }
  }
}

/** The line for `done` of `total` bytes after so many seconds. */
export function progressLine(done: number, total: number | undefined, seconds: number): string {
  const rate = seconds > 0 ? done / seconds : 0;
  const speed = `${formatBytes(done)}  ${formatBytes(rate)}/s`;
  if (!total) return speed;
  return shareLine(done, total, seconds, speed);
}

/** The line for `done` of `total` of something, and what there is to say of it. */
export function shareLine(done: number, total: number, seconds: number, said: string): string {
  const share = Math.min(1, done / total);
  const bar = '#'.repeat(Math.round(share * barWidth)).padEnd(barWidth, '.');
  const left = done > 0 && seconds > 0 ? `  ETA ${formatTime(((total - done) / done) * seconds)}` : '';
  return `[${bar}] ${`${Math.floor(share * 100)}`.padStart(3)} %  ${said}${left}`;
}

function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

function formatTime(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts.map((part) => `${part}`.padStart(2, '0')).join(':');
}
