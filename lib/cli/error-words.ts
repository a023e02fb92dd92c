import { errnoName } from '../alg/error.js';

/** What an error says, in a message of ours. libuv has no name for some errors of the system: EDQUOT. */
export function errorWords(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(
    /Unknown system error -(\d+)(: Unknown system error -\1)?/g,
    (_, errno) => errnoName(Number(errno)).code,
  );
}
