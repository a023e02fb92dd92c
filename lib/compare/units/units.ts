import { availableParallelism } from 'node:os';
import { type Engine, type EngineName, openLanes } from '../../crypto/engine/engine.js';
import { AlgError } from '../../crypto/error.js';
import { readProcCrypto } from '../../crypto/provider/proc-crypto.js';
import type { Tfm } from '../../crypto/request/tfm.js';
import type { Driver } from '../measure/drivers.js';
import { describeEnvironment } from '../measure/environment.js';
import type { Plan } from '../measure/experiment.js';
import { type Group, type GroupsReport, groupsLeftOut, type LeftOut, measureGroup } from '../measure/group.js';
import { TimeBudget } from '../measure/time-budget.js';
import { method } from '../measure/verdict.js';
import { formatGroup, formatRest } from '../text/group-table.js';
import type { Watch } from '../watch.js';
import { bioDepth, type Queue, unitsArms, unitsLeftOut, unitsPairs, unitsPublished } from './arms.js';
import { Reserve } from './carriers.js';
import { concludeUnits } from './conclusion.js';
import { UnitsMaterial } from './material.js';
import { UnitsTrial } from './trial.js';
import { openWork, type UnitsWork, unitsPerBio, unitsWorks } from './work.js';

/** Bios of a repetition. */
const bios = 4;
/** Repetitions, and the seconds that each group may take. */
const amounts = { quick: { repetitions: 80, seconds: 6 }, full: { repetitions: 500, seconds: 24 } };
const warmUps = 3;

/** The queues of an experiment: each is one engine for all its arms. */
type Queues = ReadonlyMap<Queue, Engine | EngineName>;

/** A work on a provider: its group, and a tfm for each queue. */
interface Opening {
  name: string;
  work: UnitsWork;
  tfms: ReadonlyMap<Queue, Tfm>;
}

/** Xu 2025's question: a request for each unit, a chain of them, or the whole bio? And do work queues pay? */
export async function compareUnits({ quick }: { quick: boolean }, watch: Watch = {}): Promise<GroupsReport> {
  const { repetitions, seconds } = amounts[quick ? 'quick' : 'full'];
  const lanes = [
    openLanes(1, inFlight),
    ...(availableParallelism() > 1 ? [openLanes(availableParallelism(), inFlight)] : []),
  ];
  const omitted: LeftOut[] = [...unitsLeftOut];
  const queues = new Map<Queue, Engine | EngineName>([
    ['inline', 'sync'],
    ['one lane', lanes[0]!],
  ]);
  if (lanes[1]) queues.set('all lanes', lanes[1]);
  else omitted.push({ reason: 'all lanes: there is one processor, and so one lane' });
  const openings = openAll(queues, omitted);
  const groups: Group[] = [];
  try {
    const environment = await describeEnvironment(driversOf(openings));
    watch.described?.(environment);
    watch.planned?.(openings.length);
    const most = seconds * openings.length;
    const budget = new TimeBudget(Math.min(most, watch.seconds ?? most), openings.length);
    const materials = new Map(unitsWorks.map((work) => [work, new UnitsMaterial(work, bios)]));
    for (const opening of openings) {
      const { name, work } = opening;
      const ran: Plan['ran'] = ({ arm }) => watch.ran?.(0, `${name}, ${arm}`);
      const trials = makeTrials(opening, materials.get(work)!);
      const plan = { repetitions, seconds: budget.next(), warmUps, signal: watch.signal, ran };
      const group = await measureGroup(name, trials, unitsPairs, plan);
      watch.ran?.(1, name);
      if (!group) break;
      groups.push(group);
      watch.print?.(formatGroup(group));
    }
    const report: GroupsReport = {
      version: 1,
      experiment: 'units',
      environment,
      method: { ...method, warmUps, quick },
      groups,
      omitted: [
        ...omitted,
        ...groupsLeftOut(
          openings.map(({ name }) => name),
          groups,
        ),
      ],
      published: groups[0] ? unitsPublished(groups[0].name) : [],
      conclusions: concludeUnits(groups),
    };
    watch.print?.(formatRest(report));
    return report;
  } finally {
    for (const { tfms } of openings) for (const tfm of tfms.values()) tfm.close();
    for (const engine of lanes) engine.close();
  }
}

/** No arm ever has more requests in flight, so that the engine has always room. */
const inFlight = 1 + unitsPerBio * Math.max(...Object.values(bioDepth));

/** Opens each work on each provider. One that is not there is left out, and said to be. */
function openAll(queues: Queues, omitted: LeftOut[]): Opening[] {
  const openings: Opening[] = [];
  for (const provider of ['kernel', 'library'] as const)
    for (const work of unitsWorks) {
      const name = `${work.algorithm}, ${provider}`;
      try {
        const tfms = new Map([...queues].map(([queue, engine]) => [queue, openWork(work, provider, engine)]));
        openings.push({ name, work, tfms });
      } catch (error) {
        if (!(error instanceof AlgError)) throw error;
        omitted.push({ group: name, reason: error.message });
      }
    }
  return openings;
}

function driversOf(openings: Opening[]): Driver[] {
  const drivers: Driver[] = [];
  for (const { tfms } of openings) {
    const { info, provider, type } = tfms.get('inline')!;
    const listed = readProcCrypto().find((each) => each.driver === info.driver && each.type === type);
    const driver = { name: info.driver ?? info.algorithm, provider, listed, queues: false };
    if (drivers.every(({ name }) => name !== driver.name)) drivers.push(driver);
  }
  return drivers;
}

/** Arms of one queue share their reserves: they run one at a time. */
function makeTrials({ work, tfms }: Opening, material: UnitsMaterial): UnitsTrial[] {
  const reserves = new Map(
    [...tfms].map(([queue, tfm]) => [queue, Array.from({ length: bioDepth[queue] }, () => new Reserve(work, tfm))]),
  );
  return unitsArms.flatMap(({ name, queue, how: How }) => {
    const own = reserves.get(queue);
    return own
      ? [
          new UnitsTrial(
            name,
            material,
            own.map((reserve) => new How(reserve)),
          ),
        ]
      : [];
  });
}
