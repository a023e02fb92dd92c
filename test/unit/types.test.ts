import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const root = fileURLToPath(new URL('../../..', import.meta.url));

const use = `
  const tfm = new Tfm('skcipher', 'cbc(aes)', { key: new Uint8Array(16), provider: 'library', engine: 'lanes' });
  const chain = new IvChain(tfm, { mode: 'staged', direction: 'encrypt', iv: new Uint8Array(16), depth: 8 });
  const bytes: Promise<number> = chain.push(new Uint8Array(16), new Uint8Array(16));
  const digest: Buffer = createHash('sha256').update('hello').digest();
  const error: AlgError | undefined = undefined;
  export const results = { tfm, bytes, digest, error, carries: tfm.carriesIv() satisfies boolean };
`;
const wrong = `new Tfm('cipher', 'cbc(aes)');`;

describe('types, for users of npx tsc', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'dmalg-types-'));
    mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true });
    symlinkSync(root, join(folder, 'node_modules', 'dmalg'));
    symlinkSync(join(root, 'node_modules', '@types', 'node'), join(folder, 'node_modules', '@types', 'node'));
    symlinkSync(join(root, 'node_modules', 'undici-types'), join(folder, 'node_modules', 'undici-types'));
    const options = {
      strict: true,
      module: 'nodenext',
      target: 'es2022',
      lib: ['es2022', 'esnext.disposable'],
      outDir: 'out',
      types: ['node'],
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }));
    writeFileSync(join(folder, 'package.json'), '{}');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** The compiler's complaints. */
  function compile(name: string, text: string): string {
    writeFileSync(join(folder, name), text);
    try {
      execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
        encoding: 'utf8',
      });
      return '';
    } catch (error) {
      return (error as { stdout: string }).stdout;
    } finally {
      rmSync(join(folder, name));
    }
  }

  it('an ES module compiles', () => {
    expect(compile('esm.mts', `import { type AlgError, createHash, IvChain, Tfm } from 'dmalg'; ${use}`)).to.equal('');
  });

  it('a CommonJS module compiles, and runs', () => {
    const text = `import { type AlgError, createHash, IvChain, Tfm } from 'dmalg'; ${use} console.log(digest.toString('hex'));`;
    expect(compile('cjs.cts', text)).to.equal('');
    const out = execFileSync(process.execPath, [join(folder, 'out', 'cjs.cjs')], { encoding: 'utf8' });
    expect(out).to.equal('2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\n');
  });

  it('a wrong type of algorithm does not', () => {
    expect(compile('wrong.mts', `import { Tfm } from 'dmalg'; ${wrong}`)).to.match(
      /"cipher"' is not assignable to parameter of type 'AlgType'/,
    );
  });
});
