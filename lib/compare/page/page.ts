import { caveatsOf } from '../measure/caveats.js';
import { type AllReport, type Report, reportsOf, wrongOutputs } from '../report.js';
import { environmentFacts } from '../text/environment-table.js';
import { methodFacts } from '../text/method-facts.js';
import { groupsSection } from './groups-section.js';
import { ivSection } from './iv-section.js';
import { type Markup, markup } from './markup.js';
import { mempoolSection } from './mempool-section.js';
import { pageStyle } from './page-style.js';
import { pageList } from './page-table.js';
import { questions } from './question.js';
import { repeatCommand } from './repeat.js';
import type { Section } from './section.js';

/** The report as one HTML page that needs nothing else: no script, no network, no fonts but the reader's own. */
export function renderPage(report: Report | AllReport): string {
  const reports = reportsOf(report);
  const { environment } = report;
  const title = `dmalg compare ${report.experiment}`;
  const warned = [...new Set(reports.flatMap(caveatsOf))];
  const contents = reports.map(
    ({ experiment }) => markup`<li><a href="#${experiment}">${experiment}</a>: ${questions[experiment].question}</li>
`,
  );
  return markup`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}: ${environment.kernel.release}, ${environment.date.slice(0, 10)}</title>
<style>${pageStyle}</style>
</head>
<body>
<header>
<h1>${title}</h1>
${
  warned.length > 0
    ? markup`<p class="wrong"><strong>With reserve: ${warned.join('; ')}.</strong></p>
`
    : undefined
}<p>Measured on <time datetime="${environment.date}">${readableDate(environment.date)}</time> on Linux ${environment.kernel.release}, ${environment.cpu.count} x ${environment.cpu.model}.</p>
${facts(machineFacts(reports, report))}</header>
<main>
${reports.length > 1 ? markup`<nav aria-label="Experiments"><ul>${contents}</ul></nav>` : undefined}
${reports.map(drawSection)}</main>
<footer>
<h2>To repeat it</h2>
<pre tabindex="0"><code>${repeatCommand(report)} --json again.json --html again.html
dmalg compare diff before.json again.json</code></pre>
<p>before.json is this run's report, written with --json.</p>
</footer>
</body>
</html>
`.text;
}

/** Of all reports together the drivers, each once. */
function machineFacts(reports: Report[], { environment }: Report | AllReport): [string, string][] {
  const drivers = reports.flatMap((each) => each.environment.drivers);
  const once = drivers.filter(({ name }, index) => drivers.findIndex((each) => each.name === name) === index);
  return environmentFacts({ ...environment, drivers: once });
}

const readableDate = (date: string) => `${date.slice(0, 10)} ${date.slice(11, 16)} UTC`;

function facts(list: [string, string][]): Markup {
  return markup`<dl>${list.map(
    ([what, value]) => markup`<div><dt>${what}</dt><dd>${value}</dd></div>
`,
  )}</dl>
`;
}

function drawSection(report: Report): Markup {
  const { experiment } = report;
  const { question, document, asked, link } = questions[experiment];
  const { conclusions, body, leftOut } = sectionOf(report);
  const wrong = wrongOutputs(report);
  return markup`<section id="${experiment}" aria-labelledby="${experiment}-title">
<h2 id="${experiment}-title">${experiment}</h2>
<p class="question">${question} <small>${document}: <a href="${link}">${asked}</a></small></p>
${wrong.length > 0 ? markup`<div class="wrong"><strong>WRONG OUTPUTS</strong><ul>${wrong.map((line) => markup`<li>${line}</li>`)}</ul></div>` : undefined}
<div class="conclusion">${[...caveatsOf(report).map((text) => `With reserve: ${text}.`), ...conclusions].map((text) => markup`<p>${text}</p>`)}</div>
${body}${pageList('Left out', leftOut)}<h3>Method</h3>
${facts(methodFacts(report))}</section>
`;
}

function sectionOf(report: Report): Section {
  switch (report.experiment) {
    case 'iv':
      return ivSection(report);
    case 'mempool':
      return mempoolSection(report);
    case 'workqueue':
    case 'units':
    case 'verity':
      return groupsSection(report);
    default:
      return report satisfies never;
  }
}
