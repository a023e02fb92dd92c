import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { makeMempool } from '../../lib/base/mempool.js';
import type { Group, GroupResult, GroupsReport } from '../../lib/compare/measure/group.js';
import { batched, patch, serial, single, verityArms } from '../../lib/compare/verity/arms.js';
import { caseName, type VerityCase, verityCases } from '../../lib/compare/verity/cases.js';
import { concludeVerity } from '../../lib/compare/verity/conclusion.js';
import { RequestMemory } from '../../lib/compare/verity/request-memory.js';
import { VerityMaterial, VerityTrial } from '../../lib/compare/verity/trial.js';
import { compareVerity } from '../../lib/compare/verity/verity.js';
import type { Bio, BioResult } from '../../lib/dm/bio.js';
import type { MakeRequestSource } from '../../lib/dm/memory/request-source.js';
import type { BlockDevice } from '../../lib/dm/target.js';

const schema = JSON.parse(readFileSync(new URL('../../../lib/compare/report.schema.json', import.meta.url), 'utf8'));

describe('compare verity', function () {
  this.timeout(600_000);

  describe('a quick run', () => {
    let report: GroupsReport;
    let ran = 0;
    let printed = '';
    let planned = 0;
    before(async () => {
      report = await compareVerity(
        { quick: true },
        {
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
    });
    const specials = (what: 'option' | 'elements') => {
      const cases = verityCases(['library'], true).filter(({ special }) => special && what in special);
      const names = cases.map((each) => caseName(each).replace(/^library/, ''));
      return report.groups.filter(({ name }) => names.some((end) => name.endsWith(end)));
    };

    it('makes a report as the schema says', () => {
      const validate = new Ajv({ allErrors: true, strict: true }).compile(schema);
      expect(validate(JSON.parse(JSON.stringify(report))), JSON.stringify(validate.errors)).to.equal(true);
      expect(ran).to.equal(planned);
      for (const { name } of report.groups) expect(printed).to.contain(`\n${name}\n`);
      for (const sentence of report.conclusions) expect(printed).to.contain(sentence);
    });

    it('every arm is in each group, and gives the bytes that were formatted', () => {
      expect(specials('option')).to.have.length(3);
      for (const { name, results } of report.groups) {
        expect(results.map(({ arm }) => arm)).to.deep.equal([serial, patch, single, batched]);
        for (const { arm, outputsOk, outputsChecked, failed, figures } of results) {
          expect(outputsOk, `${arm} of ${name}`).to.equal(true);
          expect(outputsChecked).to.be.above(0);
          expect(failed).to.equal(figures['bios failed without memory'] ?? 0);
        }
      }
    });

    it('counts requests and bytes: blocks are 36 bytes, and a bio has 16', () => {
      const rates = report.groups.filter(({ comparisons }) => comparisons.length > 0);
      expect(rates.length).to.be.at.least(3);
      for (const { name, results } of rates) {
        const figures = (figure: string) => results.map((each) => each.figures[figure]);
        expect(figures('requests a bio'), name).to.deep.equal([16, 16, 16, 1]);
        const [one, all, reserved, many] = figures('peak bytes a bio');
        expect([one, all, many], name).to.deep.equal([36, 16 * 36, 128 * 36]);
        // In the caller's thread its own request is free again each time.
        if (name.includes('sync')) expect(reserved).to.equal(36);
        else expect(reserved).to.be.within(36, 16 * 36);
      }
    });

    it('ignore_zero_blocks and check_at_most_once save what they are there to save', () => {
      const requests = specials('option').map(({ results }) => results[0]!.figures['requests a bio']);
      expect(requests).to.deep.equal([4, 4 - 3 / 8, 2]);
    });

    it('without memory the bios of the patch fail, and all others wait and end', () => {
      const groups = specials('elements');
      expect(groups).to.have.length(2);
      for (const { name, results } of groups) {
        const failed = results.map(({ figures }) => figures['bios failed without memory']);
        expect(failed, name).to.deep.equal([0, 8, 0, 0]);
        for (const { arm, figures, error } of results) {
          expect(figures['allocations refused'], `${arm} of ${name}`).to.be.above(0);
          expect(error).to.equal(arm === patch ? 'EIO: no memory for a request' : undefined);
        }
      }
    });

    it('interrupted it says that it knows too little', async () => {
      const { groups, conclusions } = await compareVerity({ quick: true }, { signal: AbortSignal.abort() });
      expect(groups).to.deep.equal([]);
      expect(conclusions).to.have.length(1);
      expect(conclusions[0]).to.match(/too little/);
    });
  });

  describe('a trial', () => {
    const image = Buffer.from(Array.from({ length: 4 * 512 }, (_, index) => index % 251));
    /** Ends each bio with the image's bytes in it, changed as the test likes. */
    function trial(change: (bio: Bio) => BioResult, elements = Number.POSITIVE_INFINITY) {
      const device: BlockDevice = {
        sectors: 4,
        blockSize: 512,
        discards: false,
        submit: (bio) => {
          image.copy(bio.bytes, 0, bio.sector * 512);
          const result = change(bio);
          if (bio.sector % 2) bio.end(result);
          else queueMicrotask(() => bio.end(result));
        },
        describe: () => 'liar',
        close: async () => {},
      };
      const material = new VerityMaterial(image, 512, 4);
      const memory = new RequestMemory();
      return new VerityTrial({ arm: 'x', device, memory, material, depth: 2, elements });
    }
    const outcome = async (made: VerityTrial) => {
      made.prepare();
      await made.run();
      return made.check();
    };
    const noMemory = (bio: Bio) => ({
      code: 'EIO',
      failed: [{ first: 0, count: bio.sectors }],
      cause: Object.assign(new Error('none'), { code: 'ENOMEM' }),
    });

    it('finds nothing in what is right', async () => {
      const made = trial(() => null);
      const expected = { wrong: 0, failed: 0, asynchronous: 2, error: undefined };
      expect(await outcome(made)).to.deep.equal(expected);
      expect(await outcome(made)).to.deep.equal(expected);
    });

    it('finds a wrong byte, and a bio that was left as it was', async () => {
      const changed = trial((bio) => {
        if (bio.sector === 2) bio.bytes[511]! ^= 1;
        return null;
      });
      expect((await outcome(changed)).wrong).to.equal(1);
      const left = trial((bio) => {
        if (bio.sector < 3) bio.bytes.fill(0xee);
        return null;
      });
      expect((await outcome(left)).wrong).to.equal(3);
    });

    it('a bio may fail for want of memory where there is none, but must give away nothing', async () => {
      const silent = (bio: Bio) => {
        bio.bytes.fill(0xee);
        return noMemory(bio);
      };
      const expected = { failed: 4, asynchronous: 2, error: 'EIO: none' };
      expect(await outcome(trial(silent, 0))).to.deep.equal({ ...expected, wrong: 0 });
      expect(await outcome(trial(silent))).to.deep.equal({ ...expected, wrong: 4 });
      expect(await outcome(trial(noMemory, 0)), 'bytes that nobody has verified').to.deep.equal({
        ...expected,
        wrong: 4,
      });
      expect((await outcome(trial(() => 'EIO', 0))).wrong).to.equal(4);
    });
  });

  describe('the memory of requests', () => {
    const open = (make: MakeRequestSource, memory: RequestMemory) =>
      memory.watch(make)<object>({
        mostUnits: 8,
        allocate: (units) => ({ units }),
        unitBytes: 10,
        reserve: 1,
        makeMempool,
      });

    for (const [arm, peaks, idle] of [
      [serial, [10, 10, 10], 10],
      [patch, [30, 30, 30], 0],
      [single, [10, 20, 30], 20],
      [batched, [80, 160, 240], 160],
    ] as const)
      it(`${arm}: what a bio of three holds, and what the device does afterwards`, async () => {
        const memory = new RequestMemory();
        const source = open(verityArms.find(({ name }) => name === arm)!.make, memory);
        memory.begin(Number.POSITIVE_INFINITY);
        const bio = await source.open(3);
        const taken: object[] = [];
        for (const peak of peaks) {
          taken.push(await bio.take());
          expect(memory.peakBytes).to.equal(peak);
          // The next one of this arm would wait.
          if (arm === serial) bio.give(taken.pop()!);
        }
        expect(memory.requests).to.equal(3);
        for (const request of taken) bio.give(request);
        bio.close();
        expect(source.memoryUsage()).to.deep.equal({ reserved: idle, inUse: 0 });
      });

    it('one after another: the second waits for the first', async () => {
      const source = open(verityArms[0]!.make, new RequestMemory());
      const bio = await source.open(2);
      const first = await bio.take();
      let second: object | undefined;
      const waiting = bio.take().then((request) => {
        second = request;
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect(second).to.equal(undefined);
      bio.give(first);
      await waiting;
      expect(second).to.equal(first);
    });
  });

  describe('conclusions', () => {
    const arms = [serial, patch, single, batched];
    function result(arm: string, figures: Record<string, number>, switches: number): GroupResult {
      const usage = { cpuSeconds: 1, voluntarySwitches: switches, involuntarySwitches: 0 };
      return { arm, figures, usage, requests: 8, repetitions: 10, outputsOk: true } as unknown as GroupResult;
    }
    function rate(engine: 'lanes' | 'sync', ratio: number, differs = true): { what: VerityCase; group: Group } {
      const what: VerityCase = { provider: 'library', engine, bioSize: 65536, depth: 1 };
      const peaks = engine === 'lanes' ? [36, 576, 540, 4608] : [36, 576, 36, 4608];
      const results = arms.map((arm, index) => result(arm, { 'peak bytes a bio': peaks[index]! }, index ? 800 : 1600));
      const compared = (arm: string, against: string, times: number) => ({
        ...{ arm, against, ratio: times, low: times - 0.1, high: times + 0.1, p: differs ? 0.01 : 0.5 },
        verdict: differs ? ('differs' as const) : ('does not differ' as const),
      });
      const comparisons = [compared(patch, serial, ratio), compared(single, patch, 0.9), compared(batched, single, 3)];
      return { what, group: { name: caseName(what), base: serial, results, comparisons } };
    }

    it('the claim holds, or not, or more than that', () => {
      const first = (lanes: number, sync: number, differs = true) =>
        concludeVerity([rate('lanes', lanes), rate('sync', sync, differs)])[0]!;
      expect(first(1.12, 1, false)).to.match(/^library: .* 1\.12 times .* 1\.00 times .* claim holds\.$/);
      expect(first(1.5, 1.3)).to.match(/against its claim in software, too\.$/);
      expect(first(0.9, 1, false)).to.match(/is not shown here\.$/);
      expect(concludeVerity([rate('lanes', 1.5, false), rate('sync', 1, false)])[0]).to.match(/is not shown here\.$/);
      expect(concludeVerity([rate('lanes', 2)])).to.have.length(1);
    });

    it('memory, switches, batching', () => {
      const text = concludeVerity([rate('lanes', 2), rate('sync', 1)]).join('\n');
      expect(text).to.contain("'parallel, all allocated per bio' 576, 'parallel, a request a block' 540");
      expect(text).to.contain('takes 36.0 for each block (Chemla 2018: 3264');
      expect(text).to.contain('36 instead of 576');
      expect(text).to.contain('50 % fewer context switches in parallel, 10.0 a bio instead of 20.0');
      expect(text).to.contain('costs time against allocating all for each bio: 0.90 times');
      expect(text).to.match(/3\.00 times .* a gain of longer requests, not of more in flight\./);
      const none = concludeVerity([rate('lanes', 2, false), rate('sync', 1)]).join('\n');
      expect(none).not.to.contain('a gain of longer requests');
    });

    it('who fails without memory, and whose bytes are wrong', () => {
      const special = (what: VerityCase['special'], results: GroupResult[]) => {
        const each: VerityCase = { provider: 'library', engine: 'lanes', bioSize: 65536, depth: 8, special: what! };
        return { what: each, group: { name: caseName(each), base: serial, results, comparisons: [] } };
      };
      const failing = [serial, patch].map((arm) =>
        result(arm, { 'bios failed without memory': arm === patch ? 5 : 0 }, 0),
      );
      const wrong = [{ ...result(single, {}, 0), outputsOk: false }];
      const rates = [rate('lanes', 2), rate('sync', 1)];
      const text = concludeVerity([...rates, special({ elements: 2 }, failing), special({ option: 'fec' }, wrong)]);
      expect(text.find((line) => line.includes('waits'))).to.contain(
        "'one after another' waits, and none fails; 'parallel, all allocated per bio' fails 5 of 8",
      );
      expect(text.find((line) => line.startsWith('with fec'))).to.match(
        /^with fec: WRONG bytes: 'parallel, a request a block' in /,
      );
      const right = concludeVerity([...rates, special({ option: 'fec' }, [result(single, {}, 0)])]);
      expect(right.join('\n')).to.contain('with fec every arm gives the right bytes');
    });
  });
});
