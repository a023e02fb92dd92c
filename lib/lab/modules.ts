import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runTool } from './run-tool.js';

/** Reads what depmod wrote: each module's path, below the folder of its release, with the paths of those that it needs. */
export function parseModulesDep(text: string): Map<string, string[]> {
  const result = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [path, needs] = line.split(':');
    if (path && needs !== undefined) result.set(path, needs.split(' ').filter(Boolean));
  }
  return result;
}

/** The kernel takes `-` and `_` in module names for the same. */
function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

/**
 * The modules' paths in an order in which they can be loaded, each once, what they need first. Names that the kernel does not have as a
 * module (built in, or of another version) are skipped.
 */
export function loadOrder(dependencies: Map<string, string[]>, names: string[]): string[] {
  const byName = new Map([...dependencies.keys()].map((path) => [moduleName(path), path]));
  const order = new Set<string>();
  const visit = (path: string) => {
    for (const needed of dependencies.get(path) ?? []) if (!order.has(needed)) visit(needed);
    order.add(path);
  };
  for (const name of names) {
    const path = byName.get(name.replaceAll('-', '_'));
    if (path) visit(path);
  }
  return [...order];
}

/** A module's bytes, uncompressed. */
export async function readModule(folder: string, path: string, signal?: AbortSignal): Promise<Buffer> {
  const file = join(folder, path);
  if (path.endsWith('.xz')) return runTool('xz', ['-dc', '--', file], { signal });
  if (path.endsWith('.ko')) return readFileSync(file);
  throw new Error(`${file}: compressed in a way the lab does not know`);
}
