import { expect } from 'chai';
import { compareIv } from '../../lib/compare/iv/iv.js';
import { measure, type Outcome, type Trial } from '../../lib/compare/measure/experiment.js';

/** A trial that notes what is done with it. */
function trial(arm: string, log: string[], outcome: Partial<Outcome> = {}): Trial {
  return {
    arm,
    depth: 3,
    requests: 2,
    bytes: 16,
    latencies: Float64Array.of(arm.length, 1),
    prepare: () => log.push(`prepare ${arm}`),
    run: async () => void log.push(`run ${arm}`),
    check: () => {
      log.push(`check ${arm}`);
      return { wrong: 0, failed: 0, asynchronous: 1, error: undefined, ...outcome };
    },
  };
}

const runs = (log: string[]) => log.filter((line) => line.startsWith('run ')).map((line) => line.slice(4));

describe('measure', () => {
  it('runs the arms in rounds, forwards and backwards in turn', async () => {
    const log: string[] = [];
    await measure([trial('a', log), trial('b', log), trial('c', log)], { repetitions: 3, warmUps: 0 });
    expect(runs(log).join('')).to.equal('abccbaabc');
    expect(log.slice(0, 3)).to.deep.equal(['prepare a', 'run a', 'check a']);
  });

  it('warm-up rounds are run and do not count', async () => {
    const log: string[] = [];
    const [first] = await measure([trial('a', log)], { repetitions: 2, warmUps: 3 });
    expect(runs(log)).to.have.length(5);
    expect(first!.seconds).to.have.length(2);
    expect(first!.requests).to.equal(4);
    expect([...first!.latencies]).to.deep.equal([1, 1, 1, 1]);
    expect(first!.outcome.asynchronous).to.equal(2);
  });

  it('sums what went wrong, and keeps the first error', async () => {
    let runsDone = 0;
    const [one] = await measure(
      [{ ...trial('a', []), check: () => ({ wrong: 1, failed: 1, asynchronous: 0, error: `error ${++runsDone}` }) }],
      { repetitions: 3, warmUps: 0 },
    );
    expect(one!.outcome).to.deep.equal({ wrong: 3, failed: 3, asynchronous: 0, error: 'error 1' });
  });

  it('stopped, it counts the complete rounds alone, so that all arms have the same', async () => {
    const stop = new AbortController();
    let count = 0;
    const log: string[] = [];
    const measurements = await measure([trial('a', log), trial('b', log)], {
      repetitions: 9,
      warmUps: 0,
      signal: stop.signal,
      ran: () => {
        if (++count === 5) stop.abort();
      },
    });
    expect(runs(log)).to.have.length(5);
    expect(measurements.map(({ seconds }) => seconds.length)).to.deep.equal([2, 2]);
  });

  it('out of time, it ends with the round', async () => {
    for (const [seconds, rounds] of [
      [0, 1],
      [3600, 9],
    ] as const) {
      const [one] = await measure([trial('a', [])], { repetitions: 9, warmUps: 2, seconds });
      expect(one!.seconds).to.have.length(rounds);
    }
  });

  it('figures come from the trial', async () => {
    let run = 0;
    const measured = { figures: () => ({ 'depth of it': ++run }) };
    const [one] = await measure([{ ...trial('a', []), ...measured }], { repetitions: 2, warmUps: 1 });
    expect(one).to.deep.include({ figures: { 'depth of it': [2, 3] } });
  });

  it('stopped in the first round, it has nothing', async () => {
    expect(await measure([trial('a', [])], { repetitions: 9, warmUps: 0, signal: AbortSignal.abort() })).to.deep.equal(
      [],
    );
  });
});

describe('compare iv, interrupted', () => {
  it('has the rounds that are complete, and prints them', async () => {
    const stop = new AbortController();
    let runs = 0;
    let printed = '';
    const { results } = await compareIv(
      { drivers: ['library'], sizes: [512], arms: ['mutex'], repetitions: 1000, requests: 4, quick: true },
      {
        signal: stop.signal,
        ran: () => {
          if (++runs === 100) stop.abort();
        },
        print: (text) => {
          printed += text;
        },
      },
    );
    const [first, ...more] = results.map(({ seconds }) => seconds.length);
    expect(first).to.be.within(1, 50);
    expect(more).to.deep.equal(more.map(() => first));
    expect(printed).to.match(/mutex +\d+ ±/);
  }).timeout(120_000);
});
