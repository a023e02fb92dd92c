import { debug } from '../../base/observe.js';
import { isAsynchronous, isProved, knownAio, probeAio } from '../provider/aio-probe.js';
import { type AlgType, findAlgorithm, readProcCrypto } from '../provider/proc-crypto.js';
import type { ProviderName } from '../provider/provider.js';
import type { EngineName } from './engine.js';

export interface EngineChoice {
  name: EngineName;
  /** In a sentence. */
  why: string;
}

/**
 * The engine for asynchronous requests of an algorithm: AIO where its driver is asynchronous by itself and the probe saw
 * the kernel complete such requests asynchronously; worker lanes everywhere else.
 */
export async function chooseEngine(type: AlgType, name: string, provider: ProviderName): Promise<EngineChoice> {
  const choice = await choose(type, name, provider);
  debug(() => `engine: ${choice.name} for ${name}, provider ${provider}: ${choice.why}`);
  return choice;
}

/**
 * The same, without waiting, for a driver that has been bound: lanes as long as the probe has not ended. The first tfm of
 * an asynchronous driver begins it.
 */
export function engineNow(type: AlgType, provider: ProviderName, driver: string | undefined): EngineName {
  if (provider !== 'kernel' || (type !== 'skcipher' && type !== 'aead') || !isAsynchronous(type, driver))
    return 'lanes';
  const probe = knownAio(type);
  return probe && isProved(probe) ? 'aio' : 'lanes';
}

async function choose(type: AlgType, name: string, provider: ProviderName): Promise<EngineChoice> {
  if (provider === 'library') return { name: 'lanes', why: 'libcrypto has no AIO' };
  if (type === 'hash' || type === 'rng') return { name: 'lanes', why: `the kernel has no AIO for type ${type}` };
  const driver = findAlgorithm(readProcCrypto(), type, name)?.driver;
  if (!isAsynchronous(type, driver))
    return { name: 'lanes', why: `the driver ${driver ?? name} computes in the caller's context` };
  const probe = await probeAio(type);
  if (isProved(probe)) return { name: 'aio', why: `the driver ${driver} is asynchronous, and so is this kernel's AIO` };
  return { name: 'lanes', why: `this kernel's AIO for ${type} is ${probe.state}` };
}
