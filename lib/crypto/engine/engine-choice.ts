import { debug } from '../../base/observe.js';
import { isAsynchronous, probeAio } from '../provider/aio-probe.js';
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

async function choose(type: AlgType, name: string, provider: ProviderName): Promise<EngineChoice> {
  if (provider === 'library') return { name: 'lanes', why: 'libcrypto has no AIO' };
  if (type === 'hash' || type === 'rng') return { name: 'lanes', why: `the kernel has no AIO for type ${type}` };
  const driver = findAlgorithm(readProcCrypto(), type, name)?.driver;
  if (!isAsynchronous(type, driver))
    return { name: 'lanes', why: `the driver ${driver ?? name} computes in the caller's context` };
  const { state } = await probeAio(type);
  if (state === 'asynchronous' || state === 'one-per-socket')
    return { name: 'aio', why: `the driver ${driver} is asynchronous, and so is this kernel's AIO` };
  return { name: 'lanes', why: `this kernel's AIO for ${type} is ${state}` };
}
