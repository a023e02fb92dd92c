/** Lines of columns: the first aligned left, the others right. */
export function alignTable(rows: string[][]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, text.length);
  return rows.map((row) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

/** '512 B', '8 KiB'. */
export function formatSize(bytes: number): string {
  return bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} B`;
}

/** '8.53 MiB', '147 KiB', '23.5 GiB'. */
export function formatMemory(bytes: number): string {
  if (bytes >= 2 ** 30) return `${formatNumber(bytes / 2 ** 30)} GiB`;
  return bytes < 2 ** 20 ? `${formatNumber(bytes / 1024)} KiB` : `${formatNumber(bytes / 2 ** 20)} MiB`;
}

/** Whole microseconds, or nothing where there are none. */
export function formatMicroseconds(value: number | null): string {
  return value === null ? '' : value.toFixed(0);
}

/** MiB/s of bytes a second, or nothing where there are none. */
export function formatRate(throughput: number | null): string {
  return throughput === null ? '' : formatNumber(throughput / 2 ** 20);
}

/** Three digits that mean something: '0.123', '12.3', '1234'. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(3, digits));
}
