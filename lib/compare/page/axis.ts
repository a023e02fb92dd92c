import { type Markup, markup } from './markup.js';

/** Width of a chart, in units that are pixels on a telephone, and the margin that half a number beside the axis takes. */
export const chartWidth = 360;
const margin = 14;

/** A scale from 0 to the right, with ticks at round numbers. */
export class Axis {
  readonly ticks: number[];
  readonly #end: number;

  /** Reaches `largest`, or the next tick above. */
  constructor(
    largest: number,
    readonly unit: string,
  ) {
    const step = roundStep((largest || 1) / 5);
    const count = Math.ceil((largest || 1) / step - 1e-9);
    this.ticks = Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6)));
    this.#end = count * step;
  }

  /** Where a value is, but for what is beyond the end. */
  at(value: number): number {
    const place = margin + (Math.min(value, this.#end) / this.#end) * (chartWidth - 2 * margin);
    return Number(place.toFixed(1));
  }

  /** Lines at the ticks from the top to `bottom`, the numbers below it, and the unit. It takes `axisHeight` below `bottom`. */
  draw(bottom: number): Markup {
    return markup`<g class="axis">${this.ticks.map((tick) => {
      const x = this.at(tick);
      // A long number at either end would run out of the picture.
      const isLast = tick > 0 && tick === this.ticks.at(-1);
      const anchor = isLast ? markup`x="${chartWidth}" text-anchor="end"` : markup`x="${x}" text-anchor="middle"`;
      return markup`<line x1="${x}" x2="${x}" y1="0" y2="${bottom + 4}"/><text ${anchor} y="${bottom + 16}">${tick}</text>`;
    })}<text x="${chartWidth / 2}" y="${bottom + 32}" text-anchor="middle">${this.unit}</text></g>`;
  }
}

export const axisHeight = 38;

/** The next of 1, 2, 2.5, 5 and their like. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 2.5, 5, 10].find((step) => step * power >= least * (1 - 1e-9))!;
}

/** A chart in its frame: what it is of, in words too, and what its signs mean. */
export function figure(
  { title, description, height }: { title: string; description: string; height: number },
  drawing: Markup,
  legend?: Markup,
): Markup {
  return markup`<figure><figcaption>${title}</figcaption>
<svg viewBox="0 0 ${chartWidth} ${height}" width="${chartWidth}" height="${height}" role="img" aria-label="${title}"><title>${title}</title><desc>${description}</desc>${drawing}</svg>${legend && markup`<p class="legend">${legend}</p>`}</figure>
`;
}

/** Letters that fit into a line of a chart. */
const lineLength = 43;

/** A name above a bar, cut where it would run into the figure at the end of the line. */
export function shorten(name: string, figure: string): string {
  const length = lineLength - figure.length;
  return name.length > length ? `${name.slice(0, length - 1)}…` : name;
}
