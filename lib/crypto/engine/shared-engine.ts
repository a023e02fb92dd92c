import { availableParallelism } from 'node:os';
import { type Engine, type EngineName, openAio, openLanes, SyncEngine } from './engine.js';

const open: Record<EngineName, () => Engine> = {
  sync: () => new SyncEngine(),
  lanes: () => openLanes(availableParallelism()),
  aio: () => openAio(),
};

const opened = new Map<EngineName, Engine>();

/** The engine of that name that all tfms of this thread share unless they bring their own. @throws AlgError */
export function sharedEngine(name: EngineName): Engine {
  const engine = opened.get(name) ?? open[name]();
  opened.set(name, engine);
  return engine;
}
