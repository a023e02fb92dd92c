import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AlgError } from '../../crypto/error.js';
import { readProcCrypto } from '../../crypto/provider/proc-crypto.js';
import { Tfm } from '../../crypto/request/tfm.js';
import type { Device } from '../../dm/device.js';
import { openTable } from '../../dm/open-table.js';
import { TestImage } from '../material/test-image.js';
import { type Driver, library } from '../measure/drivers.js';
import { describeEnvironment } from '../measure/environment.js';
import type { Plan } from '../measure/experiment.js';
import { type Group, type GroupsReport, groupsLeftOut, type LeftOut, measureGroup } from '../measure/group.js';
import { TimeBudget } from '../measure/time-budget.js';
import { method } from '../measure/verdict.js';
import { formatGroup, formatRest } from '../text/group-table.js';
import type { Watch } from '../watch.js';
import { verityArms, verityPairs, verityPublished } from './arms.js';
import { caseName, type VerityCase, verityCases } from './cases.js';
import { concludeVerity } from './conclusion.js';
import { RequestMemory } from './request-memory.js';
import { VerityMaterial, VerityTrial } from './trial.js';

const hash = 'sha256';
const imageSize = 1 << 20;
/** Blocks within the first 8 bios. Two of those that FEC is to correct are of one set: two roots correct as many when it is known which. */
const zeroes = [3, 4, 20];
const corrupted = [2, 17, 30];
const roots = 2;
/** Elements that a mempool keeps where there is memory, as by default. */
const reserve = 16;
/** The rounds that do not count: more at the start, when the code is not compiled yet. */
const firstWarmUps = 4;
const laterWarmUps = 1;
/** Rounds of a group, and the seconds that all groups may take together. */
const amounts = { quick: { repetitions: 60, seconds: 30 }, full: { repetitions: 100, seconds: 80 } };

/** Chemla 2018's question: does hashing a bio's blocks in parallel pay, and what memory does it take? */
export async function compareVerity({ quick }: { quick: boolean }, watch: Watch = {}): Promise<GroupsReport> {
  const { drivers, omitted } = findHashDrivers();
  const environment = await describeEnvironment(drivers);
  watch.described?.(environment);
  const cases = verityCases(
    drivers.map(({ provider }) => provider),
    quick,
  );
  watch.planned?.(cases.length);
  const { repetitions, seconds } = quick ? amounts.quick : amounts.full;
  const budget = new TimeBudget(Math.min(seconds, watch.seconds ?? seconds), cases.length);
  const folder = mkdtempSync(join(tmpdir(), 'dmalg-verity-'));
  const measured: { what: VerityCase; group: Group }[] = [];
  try {
    const files = await makeFiles(folder);
    for (const what of cases) {
      if (watch.signal?.aborted) break;
      const limits = {
        repetitions,
        seconds: budget.next(),
        warmUps: measured.length === 0 ? firstWarmUps : laterWarmUps,
      };
      const group = await measureCase(files, what, what.special ? specialPlan(what.special) : limits, watch);
      watch.ran?.(1, caseName(what));
      if (!group) break;
      measured.push({ what, group });
      watch.print?.(formatGroup(group));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const report: GroupsReport = {
    version: 1,
    experiment: 'verity',
    environment,
    method: { ...method, warmUps: laterWarmUps, quick },
    groups: measured.map(({ group }) => group),
    omitted: [
      ...omitted,
      ...groupsLeftOut(
        cases.map(caseName),
        measured.map(({ group }) => group),
      ),
    ],
    published: [...verityPublished],
    conclusions: concludeVerity(measured),
  };
  watch.print?.(formatRest(report));
  return report;
}

/** Who hashes here: the kernel, where it does, and the library. */
function findHashDrivers(): { drivers: Driver[]; omitted: LeftOut[] } {
  const drivers: Driver[] = [{ name: library, provider: 'library', listed: undefined, queues: false }];
  try {
    using tfm = new Tfm('hash', hash, { provider: 'kernel' });
    const name = tfm.info.driver ?? hash;
    const listed = readProcCrypto().find((each) => each.driver === name && each.type === 'hash');
    drivers.unshift({ name, provider: 'kernel', listed, queues: false });
    return { drivers, omitted: [{ group: 'kernel, aio', reason: 'AF_ALG completes hashes in the call, never later' }] };
  } catch (error) {
    if (!(error instanceof AlgError)) throw error;
    return { drivers, omitted: [{ group: 'kernel', reason: error.message }] };
  }
}

interface Files {
  image: TestImage;
  /** Data with blocks that only FEC gives back. */
  corrupted: string;
  /** Data with other bytes where zeroes should be: right only if those are not read. */
  littered: string;
}

async function makeFiles(folder: string): Promise<Files> {
  const image = await TestImage.make(folder, { size: imageSize, zeroes, roots });
  return {
    image,
    corrupted: await image.spoilt('corrupted', corrupted),
    littered: await image.spoilt('littered', zeroes),
  };
}

function lineOf({ image, corrupted, littered }: Files, { special }: VerityCase): string {
  if (!special || !('option' in special)) return image.line(image.data);
  switch (special.option) {
    case 'fec':
      return image.line(corrupted, image.fec);
    case 'ignore_zero_blocks':
      return image.line(littered, [special.option]);
    case 'check_at_most_once':
      return image.line(image.data, [special.option]);
  }
}

/** That a block has been checked once shows when it is read again. */
function specialPlan(special: NonNullable<VerityCase['special']>): Plan {
  return { repetitions: 'option' in special ? 2 : 1, warmUps: 0 };
}

/** Bios of a repetition: few, as the slowest arm takes a millisecond and more for a block where the machine is an emulated one. */
const biosOf = ({ depth }: VerityCase): number => Math.max(depth, 4);

async function measureCase(files: Files, what: VerityCase, plan: Plan, watch: Watch): Promise<Group | undefined> {
  const { provider, engine, bioSize, depth, special } = what;
  const elements = special && 'elements' in special ? special.elements : Number.POSITIVE_INFINITY;
  const material = new VerityMaterial(files.image.bytes, bioSize, biosOf(what));
  const opened: Device[] = [];
  try {
    const trials: VerityTrial[] = [];
    for (const { name, make } of verityArms) {
      const memory = new RequestMemory();
      const device = await openTable(lineOf(files, what), {
        readOnly: true,
        provider,
        engine,
        reserve: Number.isFinite(elements) ? 1 : reserve,
        memory: { makeRequestSource: memory.watch(make) },
      });
      opened.push(device);
      trials.push(new VerityTrial({ arm: name, device, memory, material, depth, elements }));
    }
    const name = caseName(what);
    const ran = () => watch.ran?.(0, name);
    return await measureGroup(name, trials, special ? [] : verityPairs, { ...plan, signal: watch.signal, ran });
  } finally {
    for (const device of opened) await device.close();
  }
}
