import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import type { Group } from '../../lib/compare/measure/group.js';
import { aesCipher, cryptLine, loadName, nullCipher, workqueueArms } from '../../lib/compare/workqueue/arms.js';
import { concludeWorkqueue } from '../../lib/compare/workqueue/conclusion.js';
import { diskBytes, diskImage } from '../../lib/compare/workqueue/disk.js';
import { type FioPlan, measureByFio } from '../../lib/compare/workqueue/fio.js';
import { WorkqueueTrial, WorkqueueWork } from '../../lib/compare/workqueue/trial.js';
import { compareWorkqueue } from '../../lib/compare/workqueue/workqueue.js';
import { Bio } from '../../lib/dm/bio.js';
import { named, openTable } from '../../lib/dm/open-table.js';
import { RamDevice } from '../../lib/dm/ram-device.js';
import type { BlockDevice } from '../../lib/dm/target.js';
import { inFolder } from '../cli/run.js';

const schema = JSON.parse(readFileSync(new URL('../../../lib/compare/report.schema.json', import.meta.url), 'utf8'));
const requests = 40;

describe('compare workqueue', function () {
  this.timeout(600_000);

  for (const cipher of [nullCipher, aesCipher])
    for (const op of ['read', 'write'] as const)
      it(`${op}s with ${cipher}: right through every queue, and what is wrong is seen`, async () => {
        const [before, after] = [diskImage(cipher, 2), diskImage(cipher, 3)];
        const ram = new RamDevice(diskBytes);
        const load = { op, order: 'random', depth: 8, cipher } as const;
        const work = new WorkqueueWork(load, before, after, requests);
        const outcome = async (arm: string, device: BlockDevice) => {
          const trial = new WorkqueueTrial(arm, ram, device, work);
          trial.prepare();
          await trial.run();
          const { wrong, failed, asynchronous, error } = trial.check();
          expect(trial.latencies.every((latency) => latency > 0)).to.equal(true);
          return { wrong, failed, asynchronous, error };
        };
        const right = { wrong: 0, failed: 0, error: undefined };
        expect(await outcome('RAM alone', ram)).to.deep.equal({ ...right, asynchronous: 0 });
        for (const arm of workqueueArms.filter(({ options }) => options !== undefined)) {
          const line = cryptLine(arm, cipher, diskBytes / 512, 'ram');
          const device = await openTable(line, { provider: 'library', devices: { ram } });
          expect(await outcome(arm.name, device), arm.name).to.deep.include(right);
          const spoiling = {
            ...named(device, 'spoiling'),
            submit: (bio: Bio) => {
              const { op, sector } = bio;
              const bytes = Buffer.from(bio.bytes);
              bytes[77]! ^= 1;
              device.submit(
                new Bio({ op, sector, bytes }, (error) => {
                  if (op === 'read') bio.bytes.set(bytes.fill(bytes[77]! ^ 1, 77, 78));
                  bio.end(error);
                }),
              );
            },
          };
          expect((await outcome(arm.name, spoiling)).wrong, arm.name).to.equal(requests);
          await device.close();
        }
        const failing = { ...named(ram, 'failing'), submit: (bio: Bio) => bio.end('EIO') };
        expect(await outcome('failing', failing)).to.deep.include({ failed: requests, error: 'EIO', wrong: requests });
      });

  it('the whole of it, quickly: a report as the schema says', async () => {
    let printed = '';
    const report = await compareWorkqueue(
      { quick: true },
      {
        print: (text) => {
          printed += text;
        },
      },
    );
    const validate = new Ajv({ allErrors: true, strict: true }).compile(schema);
    expect(validate(JSON.parse(JSON.stringify(report))), JSON.stringify(validate.errors)).to.equal(true);
    expect(report.groups).to.have.length(4);
    for (const { name, results } of report.groups) {
      expect(results.map(({ arm }) => arm)).to.deep.equal(workqueueArms.map(({ name }) => name));
      for (const each of results) expect(each, `${name}: ${each.arm}`).to.include({ wrongOutputs: 0, failed: 0 });
    }
    expect(report.groups.map(({ name }) => name)).to.include.members(report.published.map(({ group }) => group));
    expect(report.omitted[0]!.reason).to.contain('--in-lab');
    expect(printed).to.contain('Korchagin 2020: I. Korchagin').and.contain(report.conclusions[0]);
  });

  it('concludes what the figures say of Korchagin 2020', () => {
    const group = (op: 'read' | 'write', ratio: number, verdict: 'differs' | 'does not differ', repetitions = 6) => {
      const name = loadName({ op, order: 'sequential', depth: 1, cipher: nullCipher });
      const arm = `no_${op}_workqueue`;
      const results = [
        { arm: 'default', throughput: 50 * 2 ** 20, repetitions },
        { arm, throughput: 50 * ratio * 2 ** 20, repetitions },
      ];
      return { name, results, comparisons: [{ arm, against: 'default', ratio, verdict }] } as unknown as Group;
    };
    expect(concludeWorkqueue([group('read', 2, 'differs'), group('write', 3, 'differs')])).to.deep.equal([
      'here, in user space, with the null cipher and one request of 4 KiB at a time: reads 50.0 MiB/s through the queue and 100 past it (x 2.00; Korchagin 2020: x 3.7); writes 50.0 MiB/s through the queue and 150 past it (x 3.00; Korchagin 2020: x 6.9): that the queues cost more than they give holds.',
      '2 comparisons in 2 groups stand behind this, 2 of them differ: no_read_workqueue against default: 1 faster; no_write_workqueue against default: 1 faster.',
    ]);
    const [some] = concludeWorkqueue([group('read', 2, 'differs'), group('write', 1.1, 'does not differ')]);
    expect(some).to.match(/past it \(x 1.10, no difference shown; Korchagin 2020: x 6.9\): .* holds in part\.$/);
    expect(concludeWorkqueue([group('read', 0.9, 'differs')])[0]).to.match(/is not borne out\.$/);
    const [soon, , why] = concludeWorkqueue([group('read', 2, 'does not differ', 5)]);
    expect(soon).to.match(/cannot be told from so few rounds\.$/);
    expect(why).to.match(/^1 of 1 groups have too few rounds for their number of pairs.*: all of them\.$/);
    expect(concludeWorkqueue([])).to.deep.equal(['too little was run to say anything about Korchagin 2020.']);
  });
});

describe('measureByFio', function () {
  this.timeout(600_000);
  before(function () {
    if (spawnSync('fio', ['--version']).error) {
      this.test!.parent!.title += ' (skipped: there is no fio)';
      this.skip();
    }
  });
  const plan: FioPlan = {
    op: 'write',
    order: 'random',
    depth: 4,
    bytes: 4096,
    pattern: 'abcd',
    rounds: 3,
    seconds: 3600,
    milliseconds: 50,
  };

  it(
    'runs every arm in each round, and writes the pattern',
    inFolder((folder) => {
      const arms = ['a', 'b'].map((name) => ({ name, path: join(folder, name) }));
      for (const { path } of arms) writeFileSync(path, Buffer.alloc(1 << 20));
      const measurements = measureByFio(arms, plan);
      expect(measurements.map(({ arm }) => arm)).to.deep.equal(['a', 'b']);
      for (const { seconds, requests, latencies } of measurements) {
        expect(seconds).to.have.length(3);
        expect(Math.min(...seconds)).to.be.above(0);
        // Of all arms the same number, so that their seconds can be held against each other.
        expect(requests).to.equal(measurements[0]!.requests);
        expect(requests % 3).to.equal(0);
        expect(latencies.length).to.be.above(0);
        expect(latencies[0]).to.be.above(0);
      }
      const written = readFileSync(arms[0]!.path);
      expect(written.includes(Buffer.alloc(4096, 'abcd', 'hex'))).to.equal(true);
    }),
  );

  it('says why fio failed', () => {
    expect(() => measureByFio([{ name: 'a', path: '/dev/null/a' }], plan)).to.throw(/^fio: /);
  });
});
