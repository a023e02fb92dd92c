import { accessSync } from 'node:fs';

/** Skips, by name and reason, where a program of one of Debian's packages is not installed. */
export function needPrograms(context: Mocha.Context, packages: Record<string, string>): void {
  const folders = (process.env['PATH'] ?? '').split(':');
  const has = (name: string) => folders.some((folder) => exists(`${folder}/${name}`));
  const missing = Object.keys(packages).find((name) => !has(name));
  if (missing === undefined) return;
  context.test!.title += ` (${missing} is not installed: ${packages[missing]})`;
  context.skip();
}

function exists(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch {
    return false;
  }
}
