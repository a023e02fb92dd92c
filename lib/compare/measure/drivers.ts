import { AlgError } from '../../crypto/error.js';
import { asynchronousDrivers } from '../../crypto/provider/aio-probe.js';
import { type Algorithm, readProcCrypto } from '../../crypto/provider/proc-crypto.js';
import { Tfm } from '../../crypto/request/tfm.js';

/** Somebody who can do an algorithm: a driver of the kernel's, or the library. */
export interface Driver {
  name: string;
  provider: 'kernel' | 'library';
  /** What /proc/crypto says of it. */
  listed: Algorithm | undefined;
  /** It queues requests and completes them later, if the kernel lets it; simd wrappers do not, whatever they say. */
  queues: boolean;
}

/** Something that was not measured, and why. */
export interface Omission {
  driver: string;
  /** Undefined: all of the driver's arms. */
  arm?: string;
  reason: string;
}

/** Stands for the driver with the highest priority of those that do their work in the caller's thread. */
export const fastestSynchronous = 'fastest synchronous';
/** The name of the library among the drivers. */
export const library = 'library';

const wrapper = /^(?:cryptd|pcrypt)\((.+)\)$/;

/**
 * Why a name may not be bound here, if so. What cryptd(...) and pcrypt(...) leave behind lasts until the next boot, and
 * around a generic name they become the whole system's default.
 */
export function forbiddenWrapper(name: string, algorithm: string, inLab: boolean): string | undefined {
  const inner = wrapper.exec(name)?.[1];
  if (inner === undefined) return undefined;
  if (inner === algorithm)
    return `${name} would change what the whole system uses for ${algorithm}; wrap the name of a driver`;
  return inLab ? undefined : `${name} would stay in this kernel until it reboots; use it in the lab (--in-lab)`;
}

/** Opens each driver once. Those that are not here are named, with the reason. */
export function findDrivers(names: string[], algorithm: string): { drivers: Driver[]; omitted: Omission[] } {
  const drivers: Driver[] = [];
  const omitted: Omission[] = [];
  for (const wanted of names) {
    const name = wanted === fastestSynchronous ? findFastestSynchronous(algorithm, names) : wanted;
    const reason = name === undefined ? `no synchronous driver of ${algorithm} here` : whyNot(name, algorithm);
    if (name === undefined || reason !== undefined) {
      omitted.push({ driver: name ?? wanted, reason: reason! });
      continue;
    }
    if (drivers.some((driver) => driver.name === name)) continue;
    const listed = readProcCrypto().find((each) => each.driver === name && each.type === 'skcipher');
    const queues = asynchronousDrivers(readProcCrypto(), 'skcipher').some(({ driver }) => driver === name);
    drivers.push({ name, provider: name === library ? 'library' : 'kernel', listed, queues });
  }
  return { drivers, omitted };
}

/** Opens a driver for an algorithm. @throws AlgError, TypeError, RangeError */
export function openDriver(name: string, algorithm: string, engine: 'sync' | 'lanes' | 'aio', key?: Uint8Array): Tfm {
  const options = { engine, ...(key && { key }) };
  return name === library
    ? new Tfm('skcipher', algorithm, { ...options, provider: 'library' })
    : new Tfm('skcipher', name, { ...options, provider: 'kernel' });
}

function whyNot(name: string, algorithm: string): string | undefined {
  const forbidden = forbiddenWrapper(name, algorithm, Boolean(process.env['DMALG_LAB']));
  if (forbidden) return forbidden;
  try {
    using tfm = openDriver(name, algorithm, 'sync');
    const { algorithm: found } = tfm.info;
    return found === algorithm ? undefined : `it is a driver of ${found}, not of ${algorithm}`;
  } catch (error) {
    if (!(error instanceof AlgError)) throw error;
    return error.message;
  }
}

function findFastestSynchronous(algorithm: string, others: string[]): string | undefined {
  // To bind the algorithm makes the kernel load its drivers.
  if (whyNot(algorithm, algorithm) !== undefined) return undefined;
  const list = readProcCrypto();
  const queueing = new Set(asynchronousDrivers(list, 'skcipher').map(({ driver }) => driver));
  const candidates = list.filter(
    ({ name, driver, type, internal }) =>
      name === algorithm && type === 'skcipher' && !internal && !queueing.has(driver) && !others.includes(driver),
  );
  return candidates.sort((a, b) => b.priority - a.priority)[0]?.driver;
}
