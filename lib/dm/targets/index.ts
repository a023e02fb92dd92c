import type { TargetType } from '../target.js';
import { crypt } from './crypt/target.js';
import { delay } from './delay.js';
import { error } from './error.js';
import { flakey } from './flakey/flakey.js';
import { linear } from './linear.js';
import { verity } from './verity/ctr.js';
import { zero } from './zero.js';

/** Every kind of target a table line may name: one row each. */
export const targetTypes: readonly TargetType[] = [linear, zero, error, delay, flakey, crypt, verity];
