import { formatNumber } from '../text/table.js';
import { Axis, axisHeight, figure, shorten } from './axis.js';
import { type Markup, markup } from './markup.js';

export interface SplitChart {
  title: string;
  unit: string;
  /** What the whole is split into, in the order in which it stands. */
  parts: string[];
  bars: { name: string; values: number[] }[];
}

const rowHeight = 42;
const barHeight = 18;
const barTop = 17;
/** Colours that there are; see page-style.ts. */
const colours = 8;
/** A part narrower than this has no room for its number. */
const numberWidth = 12;

/** A bar for each arm, made of parts; each part has a number, which the legend explains. */
export function splitChart({ title, unit, parts, bars }: SplitChart): Markup {
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const axis = new Axis(Math.max(...bars.map(({ values }) => sum(values))), unit);
  const bottom = bars.length * rowHeight;
  const description = bars
    .map(
      ({ name, values }) =>
        `${name}: ${values.map((value, index) => `${parts[index]} ${formatNumber(value)}`).join(', ')}`,
    )
    .join('; ');
  return figure(
    { title, description, height: bottom + axisHeight },
    markup`${axis.draw(bottom)}${bars.map(({ name, values }, index) => {
      const top = index * rowHeight;
      const total = formatNumber(sum(values));
      return markup`<g><text x="${axis.at(0)}" y="${top + 12}">${shorten(name, total)}</text><text class="figure" x="${axis.at(Number.POSITIVE_INFINITY)}" y="${top + 12}" text-anchor="end">${total}</text>${values.map(
        (value, part) => drawPart({ part, name: parts[part]!, value }, top, axis, sum(values.slice(0, part))),
      )}</g>`;
    })}`,
    markup`${parts.map((part, index) => markup`<span><b class="key part${index % colours}">${index + 1}</b> ${part}</span> `)}`,
  );
}

function drawPart(
  { part, name, value }: { part: number; name: string; value: number },
  top: number,
  axis: Axis,
  before: number,
): Markup {
  const left = axis.at(before);
  const width = axis.at(before + value) - left;
  return markup`<g><title>${name}: ${formatNumber(value)}</title><rect class="part${part % colours}" x="${left}" y="${top + barTop}" width="${width.toFixed(1)}" height="${barHeight}"/>${
    width < numberWidth
      ? undefined
      : markup`<text class="number" x="${(left + width / 2).toFixed(1)}" y="${top + barTop + 13}" text-anchor="middle">${part + 1}</text>`
  }</g>`;
}
