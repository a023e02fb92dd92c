import type { TargetEvent } from '../dm/target.js';
import type { Reconnection } from '../nbd/client/client.js';

/** What the kernel would have in its log. */
export function describeEvent({ kind, area, block, action }: TargetEvent): string {
  const then = action === 'restart' || action === 'panic' ? `; the table asks for a ${action}` : '';
  return `${area} block ${block} ${kind === 'unreadable' ? 'cannot be read' : `is ${kind}`}${then}`;
}

/** What had been answered but not flushed is gone if the server lost its memory, and only its owner can know. */
export function describeReconnection({ uri, cause, unflushed }: Reconnection): string {
  const loss = unflushed
    ? `; ${unflushed} bytes written before were not flushed: lost, if the server lost its memory`
    : '';
  return `${uri}: connected again after ${cause.message}${loss}`;
}
