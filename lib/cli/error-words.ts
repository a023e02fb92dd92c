import { errnoName } from '../crypto/error.js';

/** What an error says, in a message of ours. */
export function errorWords(error: unknown): string {
  return namedErrors(error instanceof Error ? error.message : String(error));
}

/** libuv has no name for some errors of the system: EDQUOT. */
export function namedErrors(message: string): string {
  return message.replace(
    /Unknown system error -(\d+)(: Unknown system error -\1)?/g,
    (_, errno) => errnoName(Number(errno)).code,
  );
}
