import { type RequestEvent, requestChannel, since, tellRequest } from '../../base/observe.js';
import type { Answer, Done, Engine, Work } from '../engine/engine.js';
import { errnoName } from '../error.js';

/** What a request says of itself to those who watch. */
export type RequestFacts = Pick<RequestEvent, 'type' | 'alg' | 'provider' | 'direction' | 'bytes' | 'units'>;

/** A Request or a Batch. */
export interface ObservedWork extends Work {
  facts(): RequestFacts;
}

/** Submits to an engine, and tells of the end. Every request and batch goes through here, or through `execute`. */
export function submitTo(engine: Engine, work: ObservedWork, done: Done): Answer {
  if (!requestChannel.hasSubscribers) return engine.submit(work, done);
  const tell = observe(work, engine.name);
  const answer = engine.submit(work, (result, asynchronous) => {
    tell(result, asynchronous);
    done(result, asynchronous);
  });
  if (answer === 'done') tell(work.result, work.asynchronous);
  return answer;
}

/** Runs in the caller's thread, without an engine, and tells of the end. */
export function execute(work: ObservedWork): number {
  if (!requestChannel.hasSubscribers) return work.execute();
  const tell = observe(work, 'sync');
  const result = work.execute();
  tell(result, false);
  return result;
}

function observe(work: ObservedWork, engine: string): Done {
  const facts = work.facts();
  const start = process.hrtime.bigint();
  return (result, asynchronous) => {
    const error = result < 0 ? errnoName(-result).code : null;
    tellRequest({ ...facts, engine, asynchronous, duration: since(start), error });
  };
}
