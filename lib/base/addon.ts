import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json: this file is dist/lib/base/addon.js in it. */
const packageRoot = fileURLToPath(new URL('../../..', import.meta.url));
const require = createRequire(import.meta.url);

/**
 * Loads the addon: the one that DMALG_NATIVE_LIBRARY_PATH names, as `make asan` does; what has been built here; the platform's package, of which
 * npm installs the one that fits.
 * @throws Error with everything that was looked for, and the remedy.
 */
export function loadAddon(): unknown {
  const named = process.env['DMALG_NATIVE_LIBRARY_PATH'];
  if (named) return require(named);
  const platform = `${process.platform}-${process.arch}`;
  if (process.platform !== 'linux') throw new Error(`the addon of dmalg is for Linux; this is ${platform}`);
  const missing: string[] = [];
  const broken: Error[] = [];
  for (const place of [
    join(packageRoot, 'build/Release/dmalg.node'),
    `dmalg-${platform}-gnu`,
    `dmalg-${platform}-musl`,
  ]) {
    try {
      return require(place);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') missing.push(place);
      else broken.push(error as Error);
    }
  }
  const found = broken.map(({ message }) => `; it cannot be loaded: ${message.replaceAll('\n', ' ')}`).join('');
  throw new Error(
    `no addon of dmalg for ${platform}, ${libc()}: there is no ${missing.join(', no ')}${found}. ${remedy()}`,
    {
      cause: broken[0],
    },
  );
}

function libc(): string {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined ? 'no glibc' : `glibc ${header.glibcVersionRuntime}`;
}

function remedy(): string {
  // The packages have no Makefile.
  if (existsSync(join(packageRoot, 'Makefile'))) return `Run 'make build' in ${packageRoot}`;
  return (
    'Install with optional dependencies, or build it with g++, make and python3: ' +
    `cd '${packageRoot}' && npm install --no-save --ignore-scripts node-gyp node-addon-api argon2 && npx node-gyp rebuild`
  );
}
