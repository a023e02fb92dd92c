import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import type { Group } from '../../lib/compare/measure/group.js';
import { wrongOutputs } from '../../lib/compare/report.js';
import { bioDepth, unitsArms } from '../../lib/compare/units/arms.js';
import { type Carrier, Reserve, WholeBio } from '../../lib/compare/units/carriers.js';
import { concludeUnits } from '../../lib/compare/units/conclusion.js';
import { UnitsMaterial } from '../../lib/compare/units/material.js';
import { BioRecord } from '../../lib/compare/units/record.js';
import { UnitsTrial } from '../../lib/compare/units/trial.js';
import { compareUnits } from '../../lib/compare/units/units.js';
import { openWork, unitsWorks } from '../../lib/compare/units/work.js';
import { openLanes } from '../../lib/crypto/engine/engine.js';

const schema = JSON.parse(readFileSync(new URL('../../../lib/compare/report.schema.json', import.meta.url), 'utf8'));
const parts = ['submit us', 'queue us', 'crypto us', 'completion us'];
const sum = (values: Iterable<number>) => [...values].reduce((a, b) => a + b, 0);

/** Moments on a clock that has only the numbers given. */
function record(begin: number, end: number, note: (record: BioRecord) => void): BioRecord {
  const made = new BioRecord();
  made.start();
  made.begin = begin;
  note(made);
  made.end = end;
  return made;
}

describe('the parts of a bio’s time', () => {
  it('inline: building, crypto, and the rest', () => {
    const inline = record(100, 200, (bio) => {
      bio.ran(100, 110, 150);
      bio.ran(155, 160, 190);
    });
    expect(inline.split()).to.deep.equal({ submit: 15, queue: 0, crypto: 70, completion: 15 });
  });

  it('a moment counts once: crypto before building', () => {
    const crossed = record(100, 200, (bio) => {
      bio.ran(100, 120, 160);
      bio.ran(110, 170, 180);
      bio.ran(175, 190, 195);
    });
    // Built from 100 to 120 and from 110 to 170, of which 40 were the first one's crypto.
    expect(crossed.split()).to.deep.equal({ submit: 40, queue: 0, crypto: 55, completion: 5 });
  });

  it('what lies outside of the bio does not count', () => {
    const outside = record(100, 200, (bio) => bio.ran(90, 130, 260));
    expect(outside.split()).to.deep.equal({ submit: 30, queue: 0, crypto: 70, completion: 0 });
  });

  it('what never ran has no crypto', () => {
    const refused = record(100, 200, (bio) => bio.ran(100, 0, 0));
    expect(refused.split()).to.deep.equal({ submit: 0, queue: 0, crypto: 0, completion: 100 });
  });
});

for (const work of unitsWorks)
  describe(`arms of units, ${work.algorithm}`, () => {
    const count = 3;
    const material = new UnitsMaterial(work, count);
    const queues = { inline: 'sync', 'one lane': openLanes(1, 256), 'all lanes': openLanes(3, 256) } as const;
    const tfms = Object.entries(queues).map(([queue, engine]) => [queue, openWork(work, 'library', engine)] as const);
    const tfm = (queue: string) => tfms.find(([name]) => name === queue)![1];
    after(() => {
      for (const [, each] of tfms) each.close();
      queues['one lane'].close();
      queues['all lanes'].close();
    });

    for (const { name, queue, how: How } of unitsArms)
      it(`${name}: every byte is right, and the parts of the time add up to it`, async () => {
        const carriers = Array.from({ length: bioDepth[queue] }, () => new How(new Reserve(work, tfm(queue))));
        const trial = new UnitsTrial(name, material, carriers);
        trial.prepare();
        await trial.run();
        const asynchronous = queue === 'inline' ? 0 : count;
        expect(trial.check()).to.deep.equal({ wrong: 0, failed: 0, asynchronous, error: undefined });
        const figures = trial.figures();
        expect(Object.keys(figures)).to.deep.equal(parts);
        for (const [part, value] of Object.entries(figures)) expect(value, part).to.be.at.least(-1e-6);
        expect(figures['crypto us']).to.be.above(0);
        expect(figures['submit us']).to.be.above(0);
        const middle = trial.latencies.slice().sort()[1]!;
        expect(sum(Object.values(figures))).to.be.closeTo(1000 * middle, 1e-3);
        if (queue === 'inline') expect(figures['queue us']).to.equal(0);
      });

    it('a wrong bit is found, and output that is left from before', async () => {
      const right = new WholeBio(new Reserve(work, tfm('inline')));
      let carried = 0;
      const wrong: Carrier = {
        carry: async (bio, each) => {
          if (++carried === 2) return;
          await right.carry(bio, each);
          if (carried === 3) bio.dst[bio.dst.length - 1]! ^= 1;
        },
      };
      const trial = new UnitsTrial('wrong', material, [wrong]);
      trial.prepare();
      await trial.run();
      expect(trial.check().wrong).to.equal(2);
    });

    it('a lane that refuses is an error of each bio', async () => {
      const closed = openLanes(1);
      closed.close();
      using refused = openWork(work, 'library', closed);
      for (const { name, queue, how: How } of unitsArms.filter((arm) => arm.queue === 'one lane')) {
        const carriers = Array.from({ length: bioDepth[queue] }, () => new How(new Reserve(work, refused)));
        const trial = new UnitsTrial(name, material, carriers);
        trial.prepare();
        await trial.run();
        const { wrong, failed, error } = trial.check();
        expect({ wrong, failed }, name).to.deep.equal({ wrong: count, failed: count });
        expect(error, name).to.contain('ECANCELED');
      }
    });
  });

/** A group in which these arms were so many times as fast as those. */
function group(name: string, ratios: [arm: string, against: string, ratio: number, differs: boolean][]): Group {
  const comparisons = ratios.map(([arm, against, ratio, differs]) => {
    const verdict = differs ? ('differs' as const) : ('does not differ' as const);
    return { arm, against, ratio, low: ratio, high: ratio, p: 0, verdict };
  });
  return { name, base: 'per unit', results: [], comparisons };
}

describe('the conclusion of compare units', () => {
  it('as Xu 2025 has it', () => {
    const same = group('xts(aes), kernel', [
      ['per unit, one lane', 'per unit', 1.04, true],
      ['chain', 'per unit', 1, false],
      ['whole bio', 'per unit', 1.14, true],
      ['node:crypto', 'whole bio', 1.2, true],
    ]);
    expect(concludeUnits([same])).to.deep.equal([
      'Xu 2025 found that the queue gains (here in 1 of 1), that chaining shows no difference (here in 1 of 1), that the whole bio gains (here in 1 of 1).',
      'xts(aes), kernel: the queue gains (x 1.04; Xu 2025: 2.5 to 2.4 s), chaining shows no difference (x 1.00; Xu 2025: no gain), the whole bio gains (x 1.14; Xu 2025: 2.4 to 2.1 s), node:crypto gains (x 1.20, against whole bio).',
      '4 comparisons in 1 groups stand behind this, 3 of them differ: per unit, one lane against per unit: 1 faster; chain against per unit: 1 not shown to differ; whole bio against per unit: 1 faster; node:crypto against whole bio: 1 faster.',
    ]);
  });

  it('against it', () => {
    const other = group('sha256, library', [
      ['per unit, one lane', 'per unit', 0.5, true],
      ['chain', 'per unit', 1.1, true],
      ['whole bio', 'per unit', 1.3, false],
      ['node:crypto', 'whole bio', 0.5, true],
    ]);
    const [all, each] = concludeUnits([other]);
    expect(all).to.contain('the queue gains (here in 0 of 1)').and.to.contain('the whole bio gains (here in 0 of 1)');
    expect(each).to.contain('the queue costs (x 0.50').and.to.contain('the whole bio shows no difference (x 1.30');
    expect(each).to.contain('node:crypto costs (x 0.50');
  });

  it('of nothing', () => {
    expect(concludeUnits([])).to.deep.equal(['too little was run to say anything about Xu 2025.']);
  });
});

describe('compare units', function () {
  this.timeout(600_000);

  it('measures every arm of the library, with a report as the schema says', async () => {
    let [printed, planned, ran, described] = ['', 0, 0, 0];
    const report = await compareUnits(
      { quick: true },
      {
        described: () => described++,
        planned: (work) => {
          planned = work;
        },
        ran: (work) => {
          ran += work;
        },
        print: (text) => {
          printed += text;
        },
      },
    );
    const validate = new Ajv({ allErrors: true, strict: true }).compile(schema);
    expect(validate(JSON.parse(JSON.stringify(report))), JSON.stringify(validate.errors)).to.equal(true);
    expect(wrongOutputs(report)).to.deep.equal([]);
    const names = report.groups.map(({ name }) => name);
    expect(names).to.include.members(['xts(aes), library', 'sha256, library']);
    const inReport = new Set([...names, ...report.omitted.map(({ group }) => group)]);
    for (const work of ['xts(aes)', 'sha256']) expect(inReport).to.include(`${work}, kernel`);
    for (const { results, base } of report.groups) {
      expect(base).to.equal('per unit');
      expect(results.map(({ arm }) => arm)).to.include.members(
        unitsArms.filter(({ queue }) => queue !== 'all lanes').map(({ name }) => name),
      );
      for (const { arm, figures, bytes, failed } of results) {
        expect({ arm, bytes, failed }).to.deep.equal({ arm, bytes: 262_144, failed: 0 });
        expect(Object.keys(figures), arm).to.deep.equal(parts);
      }
    }
    expect(described).to.equal(1);
    expect(ran).to.be.within(1, planned);
    for (const name of names) expect(printed).to.contain(`\n${name}\n`);
    expect(printed).to.contain('units: Xu 2025').and.to.contain('left out: node:crypto, one lane');
    expect(report.conclusions.slice(1 + names.length).join()).to.match(
      /^\d+ comparisons in \d groups stand behind this/,
    );
  });

  it('interrupted it says that it knows too little', async () => {
    const report = await compareUnits({ quick: true }, { signal: AbortSignal.abort() });
    expect(report.groups).to.deep.equal([]);
    expect(report.conclusions[0]).to.match(/too little/);
  });
});
