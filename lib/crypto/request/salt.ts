import { unitFlag } from '../../base/binding.js';
import { checkBytes, checkWord, wrongType } from '../../base/bytes.js';
import type { AlgType } from '../provider/proc-crypto.js';

/** Hashed with a unit, in front of it or behind. */
export interface Salt {
  bytes: Uint8Array;
  place: 'first' | 'last';
}

/** @throws TypeError */
export function checkSalt(type: AlgType, salt: Salt): void {
  if (type !== 'hash') throw wrongType('salt', `none for a ${type}`, salt);
  checkBytes('salt.bytes', salt.bytes);
  checkWord('salt.place', salt.place, ['first', 'last']);
}

/** What native code is told of its place. */
export const saltFlag = (salt: Salt | undefined) => (salt?.place === 'last' ? unitFlag.saltLast : 0);
