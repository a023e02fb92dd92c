import type { Spread } from '../measure/statistics.js';
import { Axis, axisHeight, figure, shorten } from './axis.js';
import { type Markup, markup } from './markup.js';

export interface Bar {
  name: string;
  /** Undefined where there is none, as of an arm that failed; `text` then says so. */
  value: number | undefined;
  spread?: Spread;
  /** The value, as it is written beside the name. */
  text: string;
  isWrong?: boolean;
  /** What a document says, in the chart's unit. */
  published?: number | undefined;
}

export interface BarChart {
  title: string;
  unit: string;
  bars: Bar[];
  /** The name of the bar that the others are held against. */
  base: string;
  /** Whose published figures they are: 'Cameron 2018'. */
  source?: string | undefined;
  /** The longest value of all charts that are looked at together, which share an axis. Default: its own. */
  scale?: number | undefined;
  /** What is said below, of what would not fit the scale. */
  note?: string | undefined;
}

const rowHeight = 36;
const barHeight = 12;
const barTop = 17;
/** A document's machine may have been many times as fast: beyond so many times the longest bar its figure stands at the edge. */
const farthest = 2;

/** The end of the longest bar. */
export function longestOf(bars: readonly Pick<Bar, 'value' | 'spread'>[]): number {
  return Math.max(0, ...bars.map(({ value, spread }) => Math.max(value ?? 0, spread?.high ?? 0)));
}

/** Bars from the left, each below its name and figure, with the middle half of the rounds. */
export function barChart({ title, unit, bars, base, source, scale, note }: BarChart): Markup {
  const longest = Math.max(scale ?? 0, longestOf(bars));
  const published = bars.flatMap((bar) => (bar.published === undefined ? [] : [bar.published]));
  const within = published.filter((value) => value <= farthest * longest);
  const axis = new Axis(Math.max(longest, ...within), unit);
  const bottom = bars.length * rowHeight;
  const reference = bars.find(({ name }) => name === base)?.value;
  const description = bars
    .map(
      ({ name, text, published }) =>
        `${name}${name === base ? ' (base)' : ''}: ${text}${published === undefined ? '' : `, ${source}: ${published}`}`,
    )
    .join('; ');
  const legend = [
    ...(note === undefined ? [] : [markup`<span>${note}</span> `]),
    ...(bars.some(({ spread }) => spread) ? [markup`<span><b>├┤</b> the middle half of the rounds</span> `] : []),
    ...(reference === undefined ? [] : [markup`<span><b>┆</b> ${base}, the base</span> `]),
    ...(published.length > 0 ? [markup`<span><b>◆</b> ${source}</span> `] : []),
    ...(within.length < published.length ? [markup`<span><b>▶</b> ${source}, beyond the scale</span> `] : []),
  ];
  return figure(
    { title, description, height: bottom + axisHeight },
    markup`${axis.draw(bottom)}${
      reference === undefined
        ? undefined
        : markup`<line class="reference" x1="${axis.at(reference)}" x2="${axis.at(reference)}" y1="0" y2="${bottom}"/>`
    }${bars.map((bar, index) => drawBar(bar, index * rowHeight, axis, { isBase: bar.name === base, longest }))}`,
    legend.length > 0 ? markup`${legend}` : undefined,
  );
}

function drawBar(bar: Bar, top: number, axis: Axis, { isBase, longest }: { isBase: boolean; longest: number }): Markup {
  const { name, value, text, isWrong } = bar;
  const left = axis.at(0);
  const kind = isWrong ? 'wrong' : isBase ? 'base' : 'arm';
  const theirs = bar.published === undefined ? '' : ` (◆ ${bar.published})`;
  const figure = `${text}${theirs}`;
  return markup`<g><title>${name}: ${figure}</title><text x="${left}" y="${top + 12}">${shorten(name, figure)}</text><text class="figure" x="${axis.at(Number.POSITIVE_INFINITY)}" y="${top + 12}" text-anchor="end">${figure}</text>${
    value === undefined
      ? undefined
      : markup`<rect class="${kind}" x="${left}" y="${top + barTop}" width="${(axis.at(value) - left).toFixed(1)}" height="${barHeight}"/>`
  }${bar.spread && drawSpread(axis.at(bar.spread.low), axis.at(bar.spread.high), top + barTop + barHeight / 2)}${
    bar.published === undefined ? undefined : drawPublished(bar.published, top + barTop + barHeight / 2, axis, longest)
  }</g>`;
}

function drawSpread(low: number, high: number, y: number): Markup {
  return markup`<path class="spread" d="M${low} ${y}H${high}M${low} ${y - 4}V${y + 4}M${high} ${y - 4}V${y + 4}"/>`;
}

function drawPublished(value: number, y: number, axis: Axis, longest: number): Markup {
  const x = axis.at(value);
  const path =
    value > farthest * longest
      ? `M${x - 4} ${y - 6}L${x + 6} ${y}L${x - 4} ${y + 6}Z`
      : `M${x - 6} ${y}L${x} ${y - 6}L${x + 6} ${y}L${x} ${y + 6}Z`;
  return markup`<path class="published" d="${path}"/>`;
}
