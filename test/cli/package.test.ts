import { spawnSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { needPrograms } from '../support/need-programs.js';
import { breakByte, fill } from '../support/veritysetup.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const here = `dmalg-linux-${process.arch}-gnu`;
const abc = createHash('sha256').update('abc').digest('hex');

describe('the npm packages, installed where there is no compiler', function () {
  this.timeout(600_000);

  let folder: string;
  /** What is typed for it, and what is in it. */
  let packed: string;
  let app: string;

  before(function () {
    needPrograms(this, { npm: 'npm', 'dpkg-query': 'dpkg' });
    folder = mkdtempSync(join(tmpdir(), 'dmalg package-'));
    const { status, stdout, stderr } = spawnSync(process.execPath, ['dist/npm/pack.js', folder], {
      cwd: root,
      encoding: 'utf8',
    });
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    packed = stdout;
    mkdirSync(join(folder, 'bin'));
    symlinkSync(process.execPath, join(folder, 'bin/node'));
    const npm = (process.env['PATH'] ?? '')
      .split(':')
      .map((one) => join(one, 'npm'))
      .find((file) => existsSync(file))!;
    symlinkSync(realpathSync(npm), join(folder, 'bin/npm'));
    app = install('app', `dmalg-${version}.tgz`, `${here}-${version}.tgz`);
  });
  after(() => folder && rmSync(folder, { recursive: true, force: true }));

  function run(where: string, command: string, args: string[], input: string | Uint8Array = '') {
    const env = { PATH: join(folder, 'bin'), HOME: folder };
    const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: where, env, input, maxBuffer: 2 ** 26 });
    if (error) throw error;
    return { status, stdout, stderr: stderr.toString() };
  }

  /** Installs tarballs without a network, without anything that an earlier install has kept, and without scripts. */
  function install(name: string, ...tarballs: string[]): string {
    const where = join(folder, name);
    mkdirSync(where);
    writeFileSync(join(where, 'package.json'), '{}');
    const options = [
      '--offline',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--no-update-notifier',
      '--loglevel=error',
    ];
    const { status, stderr } = run(where, 'npm', [
      'install',
      ...options,
      ...tarballs.map((file) => join(folder, file)),
    ]);
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    return where;
  }

  /** Its output, of one that must succeed and say nothing else. */
  function dmalg(args: string[], input?: string | Uint8Array): Buffer {
    const { status, stdout, stderr } = run(app, join(app, 'node_modules/.bin/dmalg'), args, input);
    expect({ status, stderr }, args.join(' ')).to.deep.equal({ status: 0, stderr: '' });
    return stdout;
  }

  it('are two, without dependencies, sources or scripts, and their sizes are told', () => {
    expect(readdirSync(join(app, 'node_modules')).filter((name) => !name.startsWith('.'))).to.have.members([
      'dmalg',
      here,
    ]);
    const manifest = JSON.parse(readFileSync(join(app, 'node_modules/dmalg/package.json'), 'utf8'));
    expect(manifest)
      .to.include({ version, gypfile: false })
      .and.not.to.have.any.keys('dependencies', 'devDependencies', 'scripts', 'os');
    expect(manifest.optionalDependencies).to.have.property(here, version);
    const platform = JSON.parse(readFileSync(join(app, 'node_modules', here, 'package.json'), 'utf8'));
    expect(platform)
      .to.deep.include({ version, os: ['linux'], cpu: [process.arch], libc: ['glibc'] })
      .and.not.to.have.property('scripts');
    const files = readdirSync(join(app, 'node_modules/dmalg'), { encoding: 'utf8', recursive: true });
    expect(files).to.include.members([
      'README.md',
      'CHANGELOG.md',
      'LICENSE',
      'SECURITY.md',
      'dist/lib/index.d.ts',
      'lib/lab/init.sh',
    ]);
    expect(files.filter((file) => /\.map$|(?<!\.d)\.ts$|^dist\/test|\.node$/.test(file))).to.deep.equal([]);
    for (const name of ['dmalg', here])
      expect(packed).to.match(new RegExp(`/${name}-${version}\\.tgz: \\d+ KiB, installed \\d+ KiB; `));
  });

  it('the command works: hash, crypt, verity with FEC, info', () => {
    expect(dmalg(['hash', '--name', 'sha256', '--provider', 'library'], 'abc').toString()).to.equal(`${abc}  -\n`);

    const [key, plain] = [fill(64, 1), fill(1024, 2)];
    writeFileSync(join(app, 'key'), key);
    writeFileSync(join(app, 'plain'), plain);
    const crypt = ['--cipher', 'aes-xts-plain64', '--key-file', 'key', '--provider', 'library', '--quiet'];
    dmalg(['crypt', 'encrypt', 'plain', 'volume', ...crypt]);
    const sectors = [0, 1].map((sector) => {
      const iv = Buffer.alloc(16);
      iv.writeBigUInt64LE(BigInt(sector));
      return createCipheriv('aes-256-xts', key, iv).update(plain.subarray(sector * 512, (sector + 1) * 512));
    });
    expect(readFileSync(join(app, 'volume')).equals(Buffer.concat(sectors))).to.equal(true);

    const image = fill(64 * 4096, 3);
    writeFileSync(join(app, 'data'), image);
    const verity = ['--fec-device', 'fec', '--root-hash-file', 'root', '--provider', 'library', '--quiet'];
    dmalg(['verity', 'format', 'data', 'hash', ...verity]);
    breakByte(join(app, 'data'), 5 * 4096 + 7);
    dmalg(['verity', 'repair', 'data', 'hash', '--in-place', ...verity]);
    expect(readFileSync(join(app, 'data')).equals(image)).to.equal(true);

    expect(JSON.parse(dmalg(['info', '--json']).toString())).to.be.an('object');
  });

  it('the addon is that of the package, alone, and what is in it is told', () => {
    const script = `
      const { hash } = require('dmalg');
      hash('sha256', 'abc', { provider: 'library' });
      console.log(JSON.stringify(process.report.getReport().sharedObjects));`;
    const { stdout } = run(app, 'node', ['-e', script]);
    const objects = (JSON.parse(stdout.toString()) as string[]).filter((path) => /node_modules/.test(path));
    const inPackage = (file: string) => join(realpathSync(app), 'node_modules', here, file);
    expect(objects.map((path) => realpathSync(path))).to.deep.equal([inPackage('dmalg.node')]);
    const licences = readFileSync(inPackage('THIRD-PARTY-LICENSES.txt'), 'utf8');
    expect(licences)
      .to.match(/reference code of Argon2/)
      .and.to.include('Apache Public License');
  });

  it('a CommonJS consumer', () => {
    const script = `
      const { createHash } = require('dmalg');
      console.log(createHash('sha256', { provider: 'library' }).update('abc').digest('hex'));`;
    writeFileSync(join(app, 'consumer.cjs'), script);
    const { status, stdout, stderr } = run(app, 'node', ['consumer.cjs']);
    expect({ status, stdout: stdout.toString(), stderr }).to.deep.equal({ status: 0, stdout: `${abc}\n`, stderr: '' });
  });

  for (const [module, moduleResolution, extension] of [
    ['nodenext', 'nodenext', 'mts'],
    ['nodenext', 'nodenext', 'cts'],
    ['esnext', 'bundler', 'mts'],
    ['node16', 'node16', 'cts'],
    ['node18', 'node16', 'cts'],
    ['node16', 'node16', 'mts'],
  ] as const) {
    it(`a TypeScript consumer, module ${module}, .${extension}, every declaration checked`, () => {
      const where = join(app, `${module}-${extension}`);
      mkdirSync(where);
      mkdirSync(join(app, 'node_modules/@types'), { recursive: true });
      for (const name of ['@types/node', 'undici-types'])
        if (!existsSync(join(app, 'node_modules', name)))
          symlinkSync(join(root, 'node_modules', name), join(app, 'node_modules', name));
      const options = {
        strict: true,
        skipLibCheck: false,
        module,
        moduleResolution,
        target: 'es2022',
        lib: ['es2022'],
        types: ['node'],
        outDir: 'out',
      };
      writeFileSync(join(where, 'tsconfig.json'), JSON.stringify({ compilerOptions: options }));
      const text = `
        import { createHash, type HashOptions } from 'dmalg';
        const options: HashOptions = { provider: 'library' };
        const digest: string = createHash('sha256', options).update('abc').digest('hex');
        console.log(digest);`;
      writeFileSync(join(where, `consumer.${extension}`), text);
      const compiler = join(root, 'node_modules/typescript/bin/tsc');
      const compiled = run(where, process.execPath, [compiler, '-p', '.']);
      expect(compiled.stdout.toString()).to.equal('');
      expect(run(where, 'node', [`out/consumer.${extension.replace('ts', 'js')}`]).stdout.toString()).to.equal(
        `${abc}\n`,
      );
    });
  }

  /** What a consumer is told that imports everything, and then uses it, on a machine that says it is another one. */
  function elsewhere(where: string, machine: { platform?: string; arch?: string }): string {
    const script = `
      for (const [name, value] of Object.entries(${JSON.stringify(machine)})) Object.defineProperty(process, name, { value });
      import('dmalg').then(({ createHash }) => {
        console.log('imported');
        createHash('sha256').update('abc');
      }).catch((error) => console.log(error.message));`;
    const { stdout, stderr } = run(where, 'node', ['-e', script]);
    expect(stderr).to.equal('');
    const [first, ...rest] = stdout.toString().trimEnd().split('\n');
    expect(first).to.equal('imported');
    return rest.join('\n');
  }

  it('where there is no addon an import does not throw; the first use says what was looked for and how to build it', () => {
    expect(elsewhere(app, { platform: 'darwin', arch: 'arm64' })).to.equal(
      'the addon of dmalg is for Linux; this is darwin-arm64',
    );
    expect(elsewhere(app, { arch: 'riscv64' })).to.match(
      /^no addon of dmalg for linux-riscv64, glibc 2\.\d+: there is no \/.*\/build\/Release\/dmalg\.node, no dmalg-linux-riscv64-gnu, no dmalg-linux-riscv64-musl\. .* build it with g\+\+, .*node-gyp rebuild$/,
    );
  });

  it('without the package for the platform the install succeeds, and help; the command says in one line what is wrong', () => {
    const alone = install('alone', `dmalg-${version}.tgz`);
    expect(elsewhere(alone, {})).to.include(`no ${here}, `);
    const program = join(alone, 'node_modules/.bin/dmalg');
    expect(run(alone, program, ['--help']).status).to.equal(0);
    const { status, stderr } = run(alone, program, ['hash', '--name', 'sha256'], 'abc');
    expect(status).to.equal(4);
    expect(stderr)
      .to.match(/^dmalg: no addon of dmalg for linux-.*\n$/)
      .and.to.include(here);
    // One that does not fit: found, and why it cannot be loaded.
    const wrong = join(alone, 'node_modules', here);
    mkdirSync(wrong);
    writeFileSync(join(wrong, 'package.json'), '{ "main": "dmalg.node" }');
    writeFileSync(join(wrong, 'dmalg.node'), 'no addon');
    expect(elsewhere(alone, {})).to.match(/; it cannot be loaded: .*dmalg\.node/);
  });
});
