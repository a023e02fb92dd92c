import { withoutKeys } from '../base/without-keys.js';
import { AlgError, errnoName } from '../crypto/error.js';

/** What an error says, in a message of ours. */
export function errorWords(error: unknown): string {
  const message = namedErrors(error instanceof Error ? error.message : String(error));
  // An algorithm's name may be a key that has got into the wrong place; a file's name, which an image may have from its digest, is to be read.
  return error instanceof AlgError ? withoutKeys(message) : message;
}

/** libuv has no name for some errors of the system: EDQUOT. */
export function namedErrors(message: string): string {
  return message.replace(
    /Unknown system error -(\d+)(: Unknown system error -\1)?/g,
    (_, errno) => errnoName(Number(errno)).code,
  );
}
