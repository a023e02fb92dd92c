/**
 * `node dist/npm/cjs-types.js` copies the declarations to dist/cjs, whose package.json says CommonJS: TypeScript under `module: node16` and `node18`
 * takes the same ones for an ES module's, which a CommonJS file may not require there (TS1479).
 */
import { cpSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const from = join(root, 'dist/lib');
const to = join(root, 'dist/cjs');

rmSync(to, { recursive: true, force: true });
cpSync(from, to, { recursive: true, filter: (path) => path.endsWith('.d.ts') || statSync(path).isDirectory() });
writeFileSync(join(to, 'package.json'), '{ "type": "commonjs" }\n');
