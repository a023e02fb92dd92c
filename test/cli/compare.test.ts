import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { binding } from '../../lib/base/binding.js';
import type { IvReport } from '../../lib/compare/iv/report.js';
import { dmalg, inFolder, startDmalg } from './run.js';

const schema = JSON.parse(readFileSync(new URL('../../../lib/compare/report.schema.json', import.meta.url), 'utf8'));
const small = ['--drivers', 'library', '--requests', '4', '--repetitions', '2'];

describe('dmalg compare', function () {
  this.timeout(600_000);

  it(
    'iv with the library: a table, and a report as the schema says',
    inFolder((folder) => {
      writeFileSync(join(folder, 'report.json'), 'an old one');
      const { status, stdout, stderr } = dmalg(folder, [
        ...['compare', 'iv', ...small],
        ...['--sizes', '512,4K', '--json', 'report.json'],
      ]);
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(stdout.toString()).to.match(/% of unchained +512 B +4 KiB/);
      expect(stdout.toString()).to.match(/left out: hazard on library: libcrypto has no AIO/);
      expect(readdirSync(folder)).to.deep.equal(['report.json']);

      const report = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')) as IvReport;
      const validate = new Ajv({ allErrors: true }).compile(schema);
      expect(validate(report), JSON.stringify(validate.errors)).to.equal(true);
      expect(report.results.map(({ arm, bytes }) => `${arm} ${bytes}`)).to.deep.equal(
        [512, 4096].flatMap((bytes) =>
          ['unchained', 'mutex', 'socket', 'unchained-decrypt', 'resolved'].map((arm) => `${arm} ${bytes}`),
        ),
      );
      for (const cell of report.results) {
        expect(cell.outputsOk, cell.arm).to.equal(true);
        expect(cell.outputsChecked).to.equal(8);
        expect(cell.asynchronous).to.equal(cell.arm !== 'mutex');
      }
      expect(report.omitted.map(({ arm }) => arm)).to.deep.equal(['mutex-aio', 'staged-1', 'staged-8', 'hazard']);
      expect(report.environment.drivers).to.deep.equal([{ name: 'library', provider: 'library', parameters: {} }]);
    }),
  );

  it(
    'mempool: a table, deadlocks named, and a report',
    inFolder((folder) => {
      const { status, stdout, stderr } = dmalg(folder, ['compare', 'mempool', '--quick', '--json', 'report.json']);
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(stdout.toString())
        .to.match(/DEADLOCK after 0 +ok/)
        .and.match(
          /verity devices, .* 'requests of bios': the only one is held by bio 1 of device 2, which waits for it/,
        )
        .and.match(
          /crypt devices, .* 'pages of a write': the only one is held by bio 1 of device 2, which waits for it/,
        )
        .and.match(/mempool: .* objection holds\.\n$/);
      expect(JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')).experiment).to.equal('mempool');
      const wrong = dmalg(folder, ['compare', 'mempool', '--arms', 'mutex']);
      expect(wrong).to.include({
        status: 1,
        stderr: "dmalg: --arms: not an option of compare mempool; see 'dmalg compare --help'\n",
      });
    }),
  );

  it(
    'the schema refuses what is no report',
    inFolder((folder) => {
      const args = ['compare', 'iv', ...small, '--sizes', '64', '--arms', 'mutex', '--json', '-'];
      const { status, stdout, stderr } = dmalg(folder, args);
      expect(status).to.equal(0);
      expect(stderr).to.contain('% of unchained');
      const report = JSON.parse(stdout.toString());
      const validate = new Ajv().compile(schema);
      expect(validate(report)).to.equal(true);
      expect(report.results.map(({ arm }: { arm: string }) => arm)).to.deep.equal(['unchained', 'mutex']);
      for (const key of Object.keys(schema.definitions.iv.properties)) {
        const { [key]: _, ...rest } = report;
        expect(validate(rest), `without ${key}`).to.equal(false);
      }
      for (const key of schema.definitions.cell.required) {
        const { [key]: _, ...rest } = report.results[0];
        expect(validate({ ...report, results: [rest] }), `a cell without ${key}`).to.equal(false);
      }
      expect(validate({ ...report, results: [{}] })).to.equal(false);
      expect(validate({ ...report, results: [] }), 'stopped before the first cell').to.equal(true);
    }),
  );

  for (const [args, said] of [
    [[], "expected an experiment (iv, verity, workqueue, units, mempool, all), got ''"],
    [['vi'], "expected an experiment (iv, verity, workqueue, units, mempool, all), got 'vi'"],
    [['iv', 'iv'], "expected one experiment, got 'iv' beside it"],
    [['iv', '--sizes', '100'], "--sizes: expected multiples of 16 from 16 to 131072, as in 512,4K,64K, got '100'"],
    [['iv', '--sizes', '512,'], "got ''"],
    [['iv', '--sizes', '1M'], "got '1M'"],
    [['iv', '--arms', 'mutex,lock'], '--arms: expected unchained, mutex, mutex-aio, staged-1'],
    [['iv', '--drivers', ','], "--drivers: expected names with commas between them, got ','"],
    [['iv', '--repetitions', '0'], "--repetitions: expected a whole number from 1 to 1000, got '0'"],
    [['iv', '--requests', '1'], "--requests: expected a whole number from 2 to 4096, got '1'"],
    [['iv', '--kernel', 'aio'], '--kernel: expected --in-lab beside it'],
    [['iv', '--in-lab', '--kernel', 'old'], "--kernel: expected aio, current, next, got 'old'"],
  ] as const)
    it(`wrong usage: compare ${args.join(' ')}`, () => {
      const { status, stdout, stderr } = dmalg('.', ['compare', ...args]);
      expect(stderr).to.contain(said);
      expect(stderr.trimEnd()).not.to.contain('\n');
      expect({ status, stdout: stdout.toString() }).to.deep.equal({ status: 1, stdout: '' });
    });

  it(
    'a report that cannot be written is refused before it is measured',
    inFolder((folder) => {
      for (const file of ['missing/report.json', '.']) {
        const { status, stdout, stderr } = dmalg(folder, ['compare', 'iv', ...small, '--json', file]);
        expect({ status, stdout: stdout.toString() }).to.deep.equal({ status: 4, stdout: '' });
        expect(stderr).to.match(/^dmalg: --json /);
      }
    }),
  );

  it('without AF_ALG it names the remedy', function () {
    if (binding().af_alg_probe() >= 0) this.skip();
    for (const drivers of [[], ['--drivers', 'cbc-aes-aesni'], ['--drivers', 'library,cbc-aes-aesni']]) {
      const { status, stderr } = dmalg('.', ['compare', 'iv', ...drivers]);
      expect(status).to.equal(6);
      expect(stderr).to.equal(
        'dmalg: this kernel has no AF_ALG; add --in-lab to measure in the test kernel, or --drivers library\n',
      );
    }
  });

  it(
    'SIGINT ends it, and leaves no report',
    inFolder(async (folder) => {
      const args = ['--drivers', 'library', '--sizes', '512,64K', '--repetitions', '1000', '--json', 'report.json'];
      const child = startDmalg(folder, ['compare', 'iv', ...args]);
      let out = '';
      let errors = '';
      child.stderr.on('data', (chunk) => {
        errors += chunk;
      });
      child.stdout.on('data', (chunk) => {
        // The description of the machine: measuring begins.
        if (out === '') child.kill('SIGINT');
        out += chunk;
      });
      const [status] = await once(child, 'close');
      expect({ status, errors }).to.deep.equal({
        status: 130,
        errors: 'dmalg: interrupted; the report is not complete\n',
      });
      expect(readdirSync(folder)).to.deep.equal([]);
    }),
  );
});
