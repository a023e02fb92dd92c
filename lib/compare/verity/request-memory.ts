import type { BioRequests, MakeRequestSource } from '../../dm/memory/request-source.js';

/** What the requests of a device are made of: it is counted, and it may come to an end. */
export class RequestMemory {
  /** Requests that bios took. */
  requests = 0;
  /** The most that a bio held at once: the bytes of its requests' own data, without what V8 has for each object. */
  peakBytes = 0;
  /** Requests for which there was no memory. */
  refused = 0;
  #left = Number.POSITIVE_INFINITY;

  /** Counts from now on; from now on there is memory for so many requests. */
  begin(left: number): void {
    this.requests = 0;
    this.peakBytes = 0;
    this.refused = 0;
    this.#left = left;
  }

  /** The same source, out of this memory. */
  watch(make: MakeRequestSource): MakeRequestSource {
    return (options) => {
      const allocate: typeof options.allocate = (units) => {
        if (this.#left <= 0) {
          this.refused++;
          throw Object.assign(new Error('no memory for a request'), { code: 'ENOMEM' });
        }
        this.#left--;
        return options.allocate(units);
      };
      const source = make({ ...options, allocate });
      const bytes = source.units * options.unitBytes;
      return {
        units: source.units,
        open: async (units) => this.#watchBio(await source.open(units), bytes),
        memoryUsage: () => source.memoryUsage(),
      };
    };
  }

  #watchBio<T>(bio: BioRequests<T>, bytes: number): BioRequests<T> {
    const look = () => {
      this.peakBytes = Math.max(this.peakBytes, bio.held * bytes);
    };
    look();
    return {
      get held() {
        return bio.held;
      },
      take: async () => {
        const request = await bio.take();
        this.requests++;
        look();
        return request;
      },
      give: (request) => bio.give(request),
      close: () => bio.close(),
    };
  }
}

/** Whether something failed for want of this memory. */
export function isWantOfMemory(cause: unknown): boolean {
  return (cause as { code?: string } | undefined)?.code === 'ENOMEM';
}
