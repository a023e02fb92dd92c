import { expect } from 'chai';
import { markup } from '../../lib/compare/page/markup.js';
import { renderPage } from '../../lib/compare/page/page.js';
import { repeatCommand } from '../../lib/compare/page/repeat.js';
import { type AllReport, type Report, reportsOf } from '../../lib/compare/report.js';
import { allReport, environment, ivReport, mempoolReport, unitsReport, workqueueReport } from '../support/reports.js';

const emptyElements = new Set(['meta', 'br']);
/** Of SVG, which may be closed in the tag. */
const closedInTag = new Set(['line', 'rect', 'path']);

/** The names of all elements; throws where tags do not match, an attribute is not quoted, or an ampersand is no entity. */
function parse(page: string): string[] {
  expect(page.startsWith('<!DOCTYPE html>\n')).to.equal(true);
  const names: string[] = [];
  const open: string[] = [];
  const tag = /<(\/?)([a-z][a-z0-9]*)((?:\s+[a-zA-Z][\w:-]*="[^"<>]*")*)(\/?)>/gy;
  for (let at = page.indexOf('\n') + 1; at < page.length; ) {
    const next = page.indexOf('<', at);
    const text = page.slice(at, next < 0 ? page.length : next);
    if (open.at(-1) !== 'style') expect(text).not.to.match(/>|&(?!(amp|lt|gt|quot|#39);)/);
    if (next < 0) break;
    tag.lastIndex = next;
    const [whole, closing, name = '', , closed] = tag.exec(page) ?? [];
    expect(whole, `a tag at ${page.slice(next, next + 80)}`).not.to.equal(undefined);
    if (closing) expect(name, `what ${whole} closes`).to.equal(open.pop());
    else names.push(name);
    if (closed) expect(closedInTag.has(name), whole).to.equal(true);
    if (!closing && !closed && !emptyElements.has(name)) open.push(name);
    at = next + whole!.length;
  }
  expect(open).to.deep.equal([]);
  return names;
}

const sectionsOf = (page: string) => page.match(/<section [\s\S]*?<\/section>/g) ?? [];

const every: [string, () => Report | AllReport][] = [
  ['iv', ivReport],
  ['workqueue', workqueueReport],
  ['units', unitsReport],
  ['verity', () => ({ ...unitsReport(), experiment: 'verity' })],
  ['mempool', mempoolReport],
  ['all', allReport],
];

describe('the page of a report', () => {
  for (const [name, make] of every)
    it(`${name}: well-formed, loads nothing, has conclusion, chart and table in each section`, () => {
      const report = make();
      const page = renderPage(report);
      const names = parse(page);
      expect(
        names.filter((each) => ['script', 'link', 'img', 'iframe', 'object', 'base'].includes(each)),
      ).to.deep.equal([]);
      // A link to a thread is there to be followed; nothing is loaded by it.
      const alone = page.replaceAll(/<a href="https:\/\/lore\.kernel\.org\/[^"]*">/g, '<a>');
      expect(alone).not.to.match(/(?:src|href|action|data)="(?!#)|url\(|@import|https?:/);
      const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
      expect(new Set(ids).size).to.equal(ids.length);
      const sections = sectionsOf(page);
      expect(sections).to.have.length(reportsOf(report).length);
      for (const section of sections) {
        const places = ['class="conclusion"><p>', '<figure>', '<table>', '<h3>Method'].map((part) =>
          section.indexOf(part),
        );
        expect(places).to.deep.equal([...places].sort((a, b) => a - b));
        expect(places[0]).to.be.above(0);
        for (const [svg] of section.matchAll(/<svg [^>]*>(?=([\s\S]{0,400}))/g))
          expect(svg).to.match(/aria-label="[^"]+"/);
        const drawn = section.match(/<svg /g)!.length;
        expect(section.match(/<svg [^>]*><title>[^<]+<\/title><desc>[^<]+<\/desc>/g)).to.have.length(drawn);
      }
      expect(page).not.to.match(/NaN|undefined|Infinity|\[object/);
    });

  it('iv: figures, the document, the base, what is wrong, what was left out', () => {
    const report = ivReport();
    const page = renderPage(report);
    for (const cell of report.results) expect(page).to.contain(`>${cell.latency.p99!.toFixed(0)}<`);
    expect(page).to.contain('<title>mutex-aio: 40 ±0 (◆ 30)</title>');
    expect(page.match(/class="published"/g)).to.have.length(4);
    expect(page.match(/<rect class="base"/g)).to.have.length(2);
    expect(page.match(/<rect class="wrong"/g)).to.have.length(2);
    expect(page).to.contain('hazard: 90 ±3, outputs WRONG').and.contain('<strong>13 % WRONG</strong>');
    expect(page).to.contain(
      'virtio_crypto_aes_cbc: no such driver: &lt;b&gt;module&lt;/b&gt; missing &amp; &quot;gone&quot;',
    );
    expect(page).to.contain('THESE FIGURES ARE NOISY AT BEST').and.contain('A processor &lt;of the host&gt;');
  });

  it('an arm that failed has no bar', () => {
    const report = ivReport();
    const none = { throughput: null, throughputSpread: null, percentOfUnchained: null, percentSpread: null };
    Object.assign(report.results[1]!, { failed: 768, outputsOk: false, wrongOutputs: 1, error: 'ENOSPC', ...none });
    const page = renderPage(report);
    parse(page);
    expect(page).to.match(/<title>mutex: failed: ENOSPC<\/title>(?:<text[^>]*>[^<]*<\/text>)+<\/g>/);
    expect(page).to.contain(
      '<li>mutex on cryptd(cbc(aes-generic)) with 512 bytes: 100.00 %; the first error: ENOSPC</li>',
    );
  });

  it('workqueue: a chart a group, published figures in it and beside those measured', () => {
    const page = renderPage(workqueueReport());
    expect(page.match(/<svg /g)).to.have.length(2);
    expect(page).to.match(/<title>default: 37\.\d \(◆ 80\.6\)<\/title>/);
    // 295 MiB/s would squash what was measured: it stands at the edge.
    expect(page).to.contain('beyond the scale');
    expect(page).to.contain('<td>508 MiB/s</td>').and.contain('high_priority: CAP_SYS_NICE is missing');
    expect(page).to.contain('no_read_workqueue against default: x 2.');
  });

  it('units: where the time goes; not where figures are no times, nor in another experiment', () => {
    const drawn = (report: Report) => renderPage(report).match(/<svg /g)!.length;
    const report = unitsReport();
    expect(drawn(report)).to.equal(2);
    expect(renderPage(report)).to.contain('chain of requests: build 140, cross 44.0, cipher 330, complete 80.0');
    expect(drawn({ ...report, experiment: 'verity' })).to.equal(1);
    for (const result of report.groups[0]!.results) result.figures = { 'build us': 3, 'reserved KiB': 4 };
    expect(drawn(report)).to.equal(1);
  });

  it('mempool: each stack has its place, the first deadlock is explained, the published memory is marked', () => {
    const report = mempoolReport();
    const page = renderPage(report);
    const stopped = report.stacks.filter(({ deadlock }) => deadlock.length > 0);
    expect(page.match(/<rect class="stopped"/g)).to.have.length(stopped.length);
    expect(page.match(/<rect class="gone"/g)).to.have.length(report.stacks.length - stopped.length);
    for (const [kind, pool] of [
      ['verity', 'requests of bios'],
      ['crypt', 'pages of a write'],
    ] as const)
      expect(page).to.contain(
        `The first deadlock of 2 ${kind} devices, 1 in flight, reserve 1: bio 1 of device 1 waits for one of the &#39;${pool}&#39;`,
      );
    // A line for each kind and depth, in both charts.
    for (const depth of [2, 4, 8])
      for (const kind of ['verity', 'crypt'])
        expect(page.match(new RegExp(`<text x="0" y="\\d+">${depth} ${kind}</text>`, 'g'))).to.have.length(2);
    expect(page).to.contain('8.53 MiB (◆ 3.87)');
  });

  it('says how to repeat it', () => {
    expect(repeatCommand(workqueueReport())).to.equal('dmalg compare workqueue --in-lab --kernel aio');
    const { lab: _, ...host } = environment;
    expect(repeatCommand({ ...mempoolReport(), environment: host })).to.equal('dmalg compare mempool --quick');
    expect(repeatCommand(ivReport())).to.equal(
      "dmalg compare iv --drivers 'cryptd(cbc(aes-generic)),virtio_crypto_aes_cbc' --sizes 512,8192 --arms mutex,mutex-aio,staged-1,staged-8,socket,unchained-decrypt,resolved,hazard --repetitions 12 --requests 64 --quick --in-lab --kernel aio",
    );
    expect(renderPage(allReport())).to.contain('dmalg compare all --in-lab --kernel aio --json again.json');
  });

  it('escapes whatever a report says', () => {
    const hostile = `</style></title><script>"'&\0\u001b[31m\ud800`;
    const report = JSON.parse(JSON.stringify(allReport()), (key, value) =>
      typeof value === 'string' && !['experiment', 'virtualisation', 'pools'].includes(key)
        ? `${hostile}${value}`
        : value,
    );
    const page = renderPage(report);
    expect(parse(page)).not.to.contain('script');
    expect(page).to.contain('&lt;/title&gt;&lt;script&gt;&quot;&#39;&amp;\ufffd\ufffd[31m\ufffd');
  });
});

describe('markup', () => {
  it('escapes text and keeps markup', () => {
    const inner = markup`<b>${'<'}</b>`;
    expect(markup`${inner}${[inner, ' & ']}${undefined}${0}`.text).to.equal('<b>&lt;</b><b>&lt;</b> &amp; 0');
  });
});
