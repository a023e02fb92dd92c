import type { Direction } from '../request/iv.js';
import type { Request } from '../request/request.js';
import type { Steps } from './steps.js';

/** How one message goes through a cipher. */
export interface Pass {
  /** Takes the next part of the message; gives what output there is by now. */
  update(data: Uint8Array): Steps;
  /** Ends the message; gives the rest of the output. */
  final(): Steps;
}

/** What a message is run with. */
export interface PassFields {
  /** Its direction is set. */
  request: Request;
  direction: Direction;
  /** This message's own copy; null for a cipher without. */
  iv: Uint8Array | null;
}
