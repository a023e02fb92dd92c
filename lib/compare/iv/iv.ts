import { AlgError } from '../../crypto/error.js';
import type { Tfm } from '../../crypto/request/tfm.js';
import {
  type Driver,
  fastestSynchronous,
  findDrivers,
  library,
  type Omission,
  openDriver,
} from '../measure/drivers.js';
import { describeEnvironment } from '../measure/environment.js';
import { measure } from '../measure/experiment.js';
import { TimeBudget } from '../measure/time-budget.js';
import { judge, method } from '../measure/verdict.js';
import { formatSize } from '../text/table.js';
import { stoppedBefore, type Watch } from '../watch.js';
import { baseArm, baseOf, ivArms, ivPairs, ivPublished } from './arms.js';
import { concludeIv } from './conclusion.js';
import { IvMaterial } from './material.js';
import { type Cell, type CellHead, type Comparison, type IvReport, makeCell } from './report.js';
import { formatDriver, formatOmitted } from './table.js';
import { type IvArm, IvTrial } from './trial.js';

const algorithm = 'cbc(aes)';

export const ivDrivers = ['virtio_crypto_aes_cbc', 'cryptd(cbc(aes-generic))', fastestSynchronous, library];

/** Bytes of requests, and rounds that count. */
export const ivPresets = {
  full: { sizes: [512, 4096, 8192, 65536], repetitions: 15 },
  quick: { sizes: [512, 8192, 65536], repetitions: 12 },
};

export interface IvOptions {
  drivers: string[];
  /** Bytes of a request: multiples of 16. */
  sizes: number[];
  /** Names of arms; the unchained one is always measured. */
  arms: string[];
  repetitions: number;
  /** Of one repetition; undefined: fewer of the longer ones. */
  requests: number | undefined;
  quick: boolean;
  /** That all of it may take, if there is an end. */
  seconds?: number;
}

/** All that the experiment says of one driver. */
export interface DriverPart {
  driver: Driver;
  results: Cell[];
  comparisons: Comparison[];
  omitted: Omission[];
  conclusion: string;
}

/** The rounds that do not count: more at the start, when the code is not compiled yet. */
const firstWarmUps = 4;
const laterWarmUps = 1;

/** Requests of one repetition: many against those at its start and end, where the chain is not full. */
export function requestsFor(bytes: number, quick: boolean): number {
  const long = bytes >= 32768;
  if (quick) return long ? 16 : 40;
  return long ? 48 : 96;
}

/** Cameron 2018's question: where should requests wait whose IV is not known yet? */
export async function compareIv(options: IvOptions, watch: Watch = {}): Promise<IvReport> {
  const { drivers, omitted } = findDrivers(options.drivers, algorithm);
  const environment = await describeEnvironment(drivers);
  watch.described?.(environment);
  const materials = options.sizes.map(
    (bytes) => new IvMaterial(bytes, options.requests ?? requestsFor(bytes, options.quick)),
  );
  const openings = drivers.map((driver) => openArms(driver, options.arms, materials[0]!.key));
  watch.planned?.(plannedWork(openings, materials, options.repetitions));
  const serialises = environment.afAlg.aio.state === 'serialised';
  const parts: DriverPart[] = [];
  const seconds = Math.min(options.seconds ?? Number.POSITIVE_INFINITY, watch.seconds ?? Number.POSITIVE_INFINITY);
  const budget = new TimeBudget(seconds, openings.length * materials.length);
  const { repetitions } = options;
  try {
    for (const [index, opening] of openings.entries()) {
      const part = await measureDriver(
        opening,
        materials,
        { repetitions, budget, watch },
        { serialises, isFirst: index === 0 },
      );
      parts.push(part);
      if (part.results.length > 0) watch.print?.(formatDriver(part));
    }
  } finally {
    for (const { tfms } of openings) for (const tfm of tfms) tfm.close();
  }
  if (omitted.length > 0) watch.print?.(`\n${formatOmitted(omitted).join('\n')}\n`);
  return {
    version: 1,
    experiment: 'iv',
    environment,
    method: { ...method, warmUps: laterWarmUps, quick: options.quick },
    results: parts.flatMap((part) => part.results),
    comparisons: parts.flatMap((part) => part.comparisons),
    omitted: [...omitted, ...parts.flatMap((part) => part.omitted)],
    published: [...ivPublished],
    conclusions: parts
      .filter((part) => part.results.length > 0)
      .map((part) => ({ driver: part.driver.name, text: part.conclusion })),
  };
}

/** A driver with its arms, open. */
interface Opening {
  driver: Driver;
  arms: { arm: IvArm; tfm: Tfm }[];
  tfms: Tfm[];
  omitted: Omission[];
}

/** Opens what the arms need. An arm whose mechanism is not there is left out, and said to be. */
function openArms(driver: Driver, names: string[], key: Uint8Array): Opening {
  const open = (engine: 'sync' | 'lanes' | 'aio') => openDriver(driver.name, algorithm, engine, key);
  let queue: Tfm | undefined;
  let noAio = 'libcrypto has no AIO';
  if (driver.provider === 'kernel')
    try {
      queue = open('aio');
    } catch (error) {
      if (!(error instanceof AlgError)) throw error;
      noAio = error.message;
    }
  const hasAio = queue !== undefined;
  queue ??= open('lanes');
  const tfms = { sync: open('sync'), queue };
  const opening: Opening = { driver, arms: [], tfms: Object.values(tfms), omitted: [] };
  for (const arm of ivArms.filter(({ name }) => isBase(name, names) || names.includes(name))) {
    const reason = unavailable(arm, tfms[arm.engine], hasAio ? undefined : noAio);
    if (reason) opening.omitted.push({ driver: driver.name, arm: arm.name, reason });
    else opening.arms.push({ arm, tfm: tfms[arm.engine] });
  }
  return opening;
}

/** Arms that are measured because another one that was asked for is held against them. */
function isBase(name: string, asked: readonly string[]): boolean {
  return name === baseArm || ivArms.some((arm) => asked.includes(arm.name) && baseOf(arm) === name);
}

function unavailable(arm: IvArm, tfm: Tfm, noAio: string | undefined): string | undefined {
  if (arm.needsAio && noAio) return noAio;
  if (arm.mode === 'staged' && tfm.provider === 'library') return 'libcrypto builds nothing that could be staged';
  if (arm.mode === 'socket' && !tfm.carriesIv()) return 'no IV is carried from request to request on a socket here';
  return undefined;
}

/** The time of a run, in some unit: a request costs as much as so many bytes. */
const requestCost = 24_576;
const workOf = ({ bytes, requests }: { bytes: number; requests: number }) => requests * (requestCost + bytes);

function plannedWork(openings: Opening[], materials: IvMaterial[], repetitions: number): number {
  const round = materials.reduce((sum, material) => sum + workOf(material), 0);
  const arms = openings.reduce((sum, opening) => sum + opening.arms.length, 0);
  const more = (openings[0]?.arms.length ?? 0) * (firstWarmUps - laterWarmUps);
  return arms * round * (repetitions + laterWarmUps) + more * workOf(materials[0]!);
}

async function measureDriver(
  { driver, arms, omitted }: Opening,
  materials: IvMaterial[],
  { repetitions, budget, watch }: { repetitions: number; budget: TimeBudget; watch: Watch },
  { serialises, isFirst }: { serialises: boolean; isFirst: boolean },
): Promise<DriverPart> {
  const results: Cell[] = [];
  const comparisons: Comparison[] = [];
  for (const [index, material] of materials.entries()) {
    const trials = arms.map(({ arm, tfm }) => new IvTrial(arm, tfm, material));
    const measurements = await measure(trials, {
      repetitions,
      seconds: budget.next(),
      warmUps: isFirst && index === 0 ? firstWarmUps : laterWarmUps,
      signal: watch.signal,
      ran: (trial) => watch.ran?.(workOf(trial), `${driver.name}, ${formatSize(trial.bytes)}`),
    });
    const unchained = measurements.find(({ arm }) => arm === baseArm);
    if (!unchained) {
      const missing = materials.slice(index).map(({ bytes }) => formatSize(bytes));
      omitted.push({ driver: driver.name, reason: `${stoppedBefore} its requests of ${missing.join(', ')}` });
      break;
    }
    const head = (arm: string): CellHead => {
      const engine = arms.find((each) => each.arm.name === arm)!.tfm.engine.name as CellHead['engine'];
      return {
        driver: driver.name,
        bytes: material.bytes,
        engine,
        serialised: serialises && driver.queues && engine === 'aio',
      };
    };
    for (const each of measurements) {
      const base = baseOf(arms.find(({ arm }) => arm.name === each.arm)!.arm);
      results.push(makeCell(head(each.arm), each, measurements.find(({ arm }) => arm === base) ?? unchained));
    }
    const { bytes } = material;
    comparisons.push(...judge(measurements, ivPairs).map((verdict) => ({ driver: driver.name, bytes, ...verdict })));
  }
  return { driver, results, comparisons, omitted, conclusion: concludeIv(driver, results, comparisons) };
}
