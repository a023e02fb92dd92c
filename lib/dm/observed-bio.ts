import { since, tellBio } from '../base/observe.js';
import { Bio } from './bio.js';

/** A bio whose end somebody watches. */
export interface ObservedBio extends Bio {
  /** The target's map() has returned: what ends now is asynchronous. */
  isMapped: boolean;
}

/** The same bio, of whose end those who watch hear before its submitter. `start` is the sector of the device at which the target begins. */
export function observed(bio: Bio, device: number, target: string | null, start: number): ObservedBio {
  const { op, sector, sectors, bytes, fua } = bio;
  const first = start + sector;
  const began = process.hrtime.bigint();
  const copy = new Bio({ op, sector, sectors, bytes, fua }, (error) => {
    const failed = (error?.failed ?? []).map((range) => ({ sector: first + range.first, sectors: range.count }));
    const end = { asynchronous: watched.isMapped, duration: since(began), error: error?.code ?? null, failed };
    tellBio({ device, target, op, sector: first, sectors, bytes: bytes.length, fua, ...end });
    bio.end(error);
  });
  const watched = Object.assign(copy, { isMapped: false });
  return watched;
}
