import type { Pools, StackResult } from '../mempool/mempool.js';
import { stackText } from '../mempool/table.js';
import { chartWidth, figure } from './axis.js';
import { type Markup, markup } from './markup.js';

const left = 76;
const headHeight = 40;
const rowHeight = 30;

/** '4 crypt': there is room for no more. */
const lineOf = ({ depth, target }: StackResult) => `${depth} ${target}`;

const unique = (values: number[]) => [...new Set(values)].sort((a, b) => a - b);

/** What became of the stacks with such mempools: a line for each kind and depth, a column for each load and reserve that was tried. */
export function stackGrid(stacks: readonly StackResult[], pools: Pools): Markup {
  const shown = stacks.filter((each) => each.pools === pools);
  const lines = [...new Set(shown.map(lineOf))];
  const loads = unique(shown.map(({ inFlight }) => inFlight));
  const reserves = unique(shown.map(({ reserve }) => reserve));
  const width = (chartWidth - left) / (loads.length * reserves.length || 1);
  const at = ({ inFlight, reserve }: Pick<StackResult, 'inFlight' | 'reserve'>) =>
    left + (loads.indexOf(inFlight) * reserves.length + reserves.indexOf(reserve)) * width;
  const stopped = shown.filter(({ deadlock }) => deadlock.length > 0);
  const title = pools === 'shared' ? 'One mempool for all devices of a stack' : 'A mempool for each device';
  return figure(
    {
      title: `${title}: ${stopped.length} of ${shown.length} deadlock`,
      description: shown
        .map((each) => `${stackText(each)}, ${each.inFlight} in flight, reserve ${each.reserve}: ${describe(each)}`)
        .join('; '),
      height: headHeight + lines.length * rowHeight,
    },
    markup`<text x="0" y="12">in flight</text><text x="0" y="30">reserve</text>${loads.map((inFlight) => markup`<text x="${(at({ inFlight, reserve: reserves[0]! }) + (width * reserves.length) / 2).toFixed(1)}" y="12" text-anchor="middle">${inFlight}</text>`)}${loads.flatMap(
      (inFlight) =>
        reserves.map(
          (reserve) =>
            markup`<text x="${(at({ inFlight, reserve }) + width / 2).toFixed(1)}" y="30" text-anchor="middle">${reserve}</text>`,
        ),
    )}${lines.map((line, row) => markup`<text x="0" y="${headHeight + row * rowHeight + 19}">${line}</text>`)}${shown.map(
      (each) => drawStack(each, { x: at(each), y: headHeight + lines.indexOf(lineOf(each)) * rowHeight, width }),
    )}`,
    markup`<span><b class="key gone">✓</b> all bios ended</span> <span><b class="key stopped">✕ n</b> DEADLOCK after n bios</span>`,
  );
}

function describe({ deadlock, done, outputsOk }: StackResult): string {
  return `${deadlock.length > 0 ? `DEADLOCK after ${done}` : 'got on'}${outputsOk ? '' : ', bytes WRONG'}`;
}

function drawStack(each: StackResult, { x, y, width }: { x: number; y: number; width: number }): Markup {
  const sign = each.deadlock.length > 0 ? `✕ ${each.done}` : '✓';
  return markup`<g><title>${describe(each)}</title><rect class="${each.deadlock.length > 0 ? 'stopped' : 'gone'}" x="${(x + 1).toFixed(1)}" y="${y + 1}" width="${(width - 2).toFixed(1)}" height="${rowHeight - 2}"/><text class="number" x="${(x + width / 2).toFixed(1)}" y="${y + 19}" text-anchor="middle">${sign}${each.outputsOk ? '' : '!'}</text></g>`;
}
