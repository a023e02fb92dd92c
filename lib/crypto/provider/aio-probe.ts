import { binding } from '../../base/binding.js';
import { checkWord } from '../../base/bytes.js';
import { EBUSY } from '../../base/errno.js';
import { type Engine, openAio } from '../engine/engine.js';
import { AlgError, algError } from '../error.js';
import type { Request } from '../request/request.js';
import { type RawRequest, SharedOp } from '../request/shared-op.js';
import { Tfm } from '../request/tfm.js';
import { type Algorithm, type AlgType, findAlgorithm, readProcCrypto } from './proc-crypto.js';

export type AioType = 'skcipher' | 'aead';
/**
 * asynchronous: completions after io_submit, any number on one op socket; one-per-socket: the same, a second IOCB on an
 * op socket gets EBUSY; serialised: every IOCB completes inside io_submit; gone: the kernel has no AIO (or no AF_ALG);
 * unproven: no driver here that is asynchronous by itself, so nothing can be told.
 */
export type AioState = 'asynchronous' | 'one-per-socket' | 'serialised' | 'gone' | 'unproven';

export interface AioProbe {
  state: AioState;
  /** The driver it was proved with. */
  driver: string | undefined;
  /** What was seen, in a sentence. */
  evidence: string;
}

/** Drivers to prove it with that exist only once asked for. Each wraps a driver, so that no default changes; lab only. */
const labDrivers: Record<AioType, string[]> = {
  skcipher: ['cryptd(cbc(aes-generic))'],
  aead: ['pcrypt(gcm_base(ctr(aes-generic),ghash-generic))', 'cryptd(gcm_base(ctr(aes-generic),ghash-generic))'],
};

const probed = new Map<AioType, Promise<AioProbe>>();
const known = new Map<AioType, AioProbe>();

/**
 * What this kernel's AIO does for a type, proved by submitting: never guessed from a version or from what a driver says
 * of itself. Done once in a thread.
 */
export function probeAio(type: AioType): Promise<AioProbe> {
  checkWord('type', type, ['skcipher', 'aead']);
  const begun = probed.get(type);
  if (begun) return begun;
  const probe = prove(type);
  probed.set(type, probe);
  probe.then(
    (result) => known.set(type, result),
    () => {}, // whoever waits for the promise sees why
  );
  return probe;
}

/** The outcome of probeAio where it is known; undefined where it is not yet, and then the probe begins. */
export function knownAio(type: AioType): AioProbe | undefined {
  const probe = known.get(type);
  if (!probe) void probeAio(type);
  return probe;
}

/** Whether the kernel completes requests of this type after their submission. */
export const isProved = ({ state }: AioProbe): boolean => state === 'asynchronous' || state === 'one-per-socket';

/**
 * Drivers that say they are asynchronous and are no simd wrapper: those (the driver x of an internal __x) run inline in
 * process context whatever they say (crypto/simd.c).
 */
export function asynchronousDrivers(list: Algorithm[], type: AlgType): Algorithm[] {
  const names = new Set(list.map(({ driver }) => driver));
  return list.filter(
    (algorithm) =>
      algorithm.type === type && algorithm.async && !algorithm.internal && !names.has(`__${algorithm.driver}`),
  );
}

// Neither does a driver change, and reading /proc/crypto takes longer than opening a socket.
const asynchronous = new Map<string, boolean>();

/** Whether this driver is one of asynchronousDrivers(). It must have been bound: drivers are listed only then. */
export function isAsynchronous(type: AlgType, driver: string | undefined): boolean {
  if (driver === undefined) return false;
  const key = `${type} ${driver}`;
  const is =
    asynchronous.get(key) ?? asynchronousDrivers(readProcCrypto(), type).some((each) => each.driver === driver);
  asynchronous.set(key, is);
  return is;
}

async function prove(type: AioType): Promise<AioProbe> {
  const afAlg = binding().af_alg_probe();
  if (afAlg < 0) return { state: 'gone', driver: undefined, evidence: algError('socket', 'AF_ALG', afAlg).hint };
  let engine: Engine;
  try {
    engine = openAio(pairs * 2);
  } catch (error) {
    return { state: 'gone', driver: undefined, evidence: (error as Error).message };
  }
  const candidates = asynchronousDrivers(readProcCrypto(), type).map(({ driver }) => driver);
  // Only the lab's kernel may have drivers made for it: what they leave behind lasts until the next boot.
  if (process.env['DMALG_LAB']) candidates.push(...labDrivers[type].filter((driver) => !candidates.includes(driver)));
  let inline: AioProbe | undefined;
  const failures: string[] = [];
  try {
    for (const driver of candidates) {
      try {
        const probe = await probeDriver(engine, type, driver);
        if (probe.state !== 'serialised') return probe;
        inline ??= probe;
      } catch (error) {
        if (!(error instanceof AlgError)) throw error;
        failures.push(error.message);
      }
    }
  } finally {
    engine.close();
  }
  if (inline) return inline;
  const evidence = `no ${type} driver here is asynchronous by itself${failures.length ? `; ${failures.join('; ')}` : ''}`;
  return { state: 'unproven', driver: undefined, evidence };
}

/** Requests of a round; long, so that they are in flight for long. */
const pairs = 8;
const probeBytes = 96 * 1024;
/** A race is looked for: one that shows it proves it, and only many that do not are taken for its absence. */
const mostRounds = 8;

/** Opens the driver with a key it takes, and fills a request. */
function prepare(tfm: Tfm, type: AioType): Request {
  const { ivSize = 0, maxAuthSize = 0 } = tfm.info;
  const request = tfm.request();
  request.iv = ivSize ? new Uint8Array(ivSize).fill(1) : null;
  request.src = new Uint8Array(probeBytes);
  request.dst = new Uint8Array(probeBytes + (type === 'aead' ? maxAuthSize : 0));
  return request;
}

async function probeDriver(engine: Engine, type: AioType, driver: string): Promise<AioProbe> {
  const options = { provider: 'kernel', engine } as const;
  const tfm = new Tfm(type, driver, options);
  try {
    // Bound, the driver is listed with its sizes.
    const keySize = findAlgorithm(readProcCrypto(), type, driver)?.minKeySize || 16;
    tfm.setKey(Uint8Array.from({ length: keySize }, (_, at) => at));
    return await observe(tfm, type, driver);
  } finally {
    tfm.close();
  }
}

async function observe(tfm: Tfm, type: AioType, driver: string): Promise<AioProbe> {
  const what = `IOCBs of ${probeBytes} bytes on ${driver}`;
  const requests = Array.from({ length: pairs }, () => prepare(tfm, type));
  let later = 0;
  let ran = 0;
  for (let round = 0; round < mostRounds && later === 0; round++) {
    await Promise.all(requests.map((request) => request.run()));
    later = requests.filter(({ asynchronous }) => asynchronous).length;
    ran += pairs;
  }
  if (later === 0)
    return { state: 'serialised', driver, evidence: `${ran} of ${ran} ${what} were complete when io_submit returned` };
  let busy = 0;
  let seconds = 0;
  for (let round = 0; round < mostRounds && busy === 0; round++) {
    busy = await countBusyPairs(tfm, type);
    seconds += pairs;
  }
  const evidence = `${later} of ${ran} ${what} completed after io_submit; of ${seconds} second IOCBs on an op socket ${busy} got EBUSY`;
  return { state: busy > 0 ? 'one-per-socket' : 'asynchronous', driver, evidence };
}

/** Submits a second IOCB to op sockets whose first is in flight. */
async function countBusyPairs(tfm: Tfm, type: AioType): Promise<number> {
  const { ivSize = 0, maxAuthSize = 0 } = tfm.info;
  let busy = 0;
  for (let i = 0; i < pairs; i++) {
    const op = new SharedOp(tfm);
    const [first, second] = [0, 1].map(() => ({
      direction: 'encrypt' as const,
      iv: ivSize ? new Uint8Array(ivSize).fill(1) : null,
      src: new Uint8Array(probeBytes),
      dst: new Uint8Array(probeBytes + (type === 'aead' ? maxAuthSize : 0)),
    })) as [RawRequest, RawRequest];
    const end = (request: RawRequest, isStaged: boolean) =>
      new Promise<number>((resolve) => op.submit(request, isStaged, resolve));
    const ends = [end(first, false)];
    if (op.stage(second) === 0) ends.push(end(second, true));
    const [, outcome] = await Promise.all(ends);
    if (outcome === -EBUSY) busy++;
    // Its socket still holds the second's data.
    op.close();
  }
  return busy;
}
