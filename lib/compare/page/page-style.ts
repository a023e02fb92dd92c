import { Markup } from './markup.js';

/**
 * How a page looks. Colours are Okabe and Ito's for bars, and Tol's light ones, with black text on them, for parts: people who
 * see fewer colours tell them apart.
 */
export const pageStyle = new Markup(`
:root {
  color-scheme: light dark;
  --page: #ffffff; --box: #f4f6f8; --text: #1b1f24; --quiet: #57606a; --line: #d3d9e0; --link: #0b5cad;
  --arm: #0072b2; --base: #8b949e; --wrong: #c04f00; --alarm: #a33a00; --mark: #1b1f24;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14181d; --box: #1d232a; --text: #e6e9ed; --quiet: #a3adb8; --line: #38414b; --link: #7cb8f2;
    --arm: #4aa8e0; --base: #7d8792; --wrong: #e07b39; --alarm: #f09a5b; --mark: #f5f7f9;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.375rem; line-height: 1.25; margin: 0 0 .5rem; }
h3 { font-size: 1.0625rem; margin: 2rem 0 .5rem; }
p { margin: 0 0 .75rem; max-width: 72ch; }
a { color: var(--link); }
section, footer { border-top: 1px solid var(--line); margin-top: 2.5rem; padding-top: 1.75rem; }
nav { margin-top: 1.5rem; }
ul { margin: 0 0 .75rem; padding-left: 1.25rem; max-width: 90ch; }
small { display: block; color: var(--quiet); font-size: .875rem; }
.question { font-size: 1.0625rem; }
.conclusion { border-left: 4px solid var(--arm); background: var(--box); padding: .75rem 1rem; margin: 1rem 0 1.5rem; }
.conclusion p { font-weight: 600; max-width: 90ch; }
.conclusion p:last-child, .wrong ul { margin-bottom: 0; }
.wrong { border: 2px solid var(--alarm); padding: .75rem 1rem; margin: 1rem 0; }
strong { color: var(--alarm); }
dl { margin: 0 0 .75rem; display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 32rem), 1fr)); gap: .125rem 2rem; font-size: .875rem; }
dl div { display: grid; grid-template-columns: 7.5rem 1fr; gap: .75rem; padding: .125rem 0; }
dt { color: var(--quiet); }
dd { margin: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21.5rem), 1fr)); gap: 1.5rem; align-items: start; margin: 1rem 0 1.5rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: .375rem; padding: .75rem; min-width: 0; break-inside: avoid; }
figcaption { font-weight: 600; font-size: .9375rem; margin-bottom: .5rem; }
svg { display: block; width: 100%; max-width: 34rem; height: auto; font-size: 13px; }
svg text { fill: var(--text); stroke: var(--page); stroke-width: 3px; paint-order: stroke; stroke-linejoin: round; }
svg .axis text { fill: var(--quiet); font-size: 12px; }
svg .axis line { stroke: var(--line); }
svg .figure { font-variant-numeric: tabular-nums; font-weight: 600; }
.arm { fill: var(--arm); }
.base { fill: var(--base); }
.wrong { fill: var(--wrong); }
.spread { stroke: var(--text); stroke-width: 1.5; fill: none; }
.reference { stroke: var(--quiet); stroke-dasharray: 3 3; }
.published { fill: var(--mark); stroke: var(--page); stroke-width: 1.5; }
svg .number { fill: #000; stroke: none; font-weight: 600; }
.legend { margin: .5rem 0 0; font-size: .8125rem; color: var(--quiet); display: flex; flex-wrap: wrap; gap: .125rem 1rem; }
.legend b { color: var(--text); }
.legend b.key { color: #000; padding: 0 .3rem; border-radius: 2px; }
.gone { fill: #99ddff; background: #99ddff; }
.stopped { fill: #ee8866; background: #ee8866; }
.part0 { fill: #77aadd; background: #77aadd; }
.part1 { fill: #ee8866; background: #ee8866; }
.part2 { fill: #eedd88; background: #eedd88; }
.part3 { fill: #44bb99; background: #44bb99; }
.part4 { fill: #ffaabb; background: #ffaabb; }
.part5 { fill: #99ddff; background: #99ddff; }
.part6 { fill: #bbcc33; background: #bbcc33; }
.part7 { fill: #dddddd; background: #dddddd; }
.table { overflow: auto; width: fit-content; max-width: 100%; max-height: 30rem; margin: 0 0 1.25rem; border: 1px solid var(--line); border-radius: .375rem; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; font-weight: 600; padding: .5rem .75rem; }
th, td { padding: .25rem .75rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--line); }
th:first-child, td.words { text-align: left; }
td.words { color: var(--quiet); }
tbody th { font-weight: 500; }
thead th { color: var(--quiet); font-weight: 600; }
.verdicts { font-size: .875rem; color: var(--quiet); margin-bottom: 1.5rem; }
pre { background: var(--box); border: 1px solid var(--line); border-radius: .375rem; padding: .75rem 1rem; overflow: auto; font-size: .875rem; white-space: pre-wrap; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
@media (max-width: 30rem) {
  figure { padding: .5rem .25rem; }
  figcaption, .legend { padding: 0 .5rem; }
}
@media print {
  :root { --page: #ffffff; --box: #ffffff; --text: #000000; --quiet: #444444; --line: #bbbbbb; --link: #000000;
    --arm: #0072b2; --base: #8b949e; --wrong: #c04f00; --alarm: #a33a00; --mark: #000000; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { max-width: none; padding: 0; font-size: .8125rem; }
  .table { max-height: none; overflow: visible; border: 0; }
  th, td { white-space: normal; padding: .125rem .375rem; }
  tr, h2, h3 { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
}
`);
