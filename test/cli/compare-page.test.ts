import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { renderPage } from '../../lib/compare/page/page.js';
import { allReport, ivReport } from '../support/reports.js';
import { dmalg, inFolder } from './run.js';

/** The browser of Debian's package chromium, with which the pages are looked at. */
const browser = 'chromium';
const hasBrowser = spawnSync(browser, ['--version']).status === 0;

/** What a page looks like in the browser, found out by a script that the test puts into a copy of it. */
interface Look {
  scrollWidth: number;
  innerWidth: number;
  dark: boolean;
  page: string;
  errors: string[];
  loaded: string[];
  svgs: [number, number][];
  /** Boxes that reach beyond the window, but for what is in a box that scrolls. */
  beyond: string[];
}

const inspector = `<script>
const errors = [];
addEventListener('error', (event) => errors.push(String(event.message)), true);
addEventListener('securitypolicyviolation', (event) => errors.push(event.blockedURI));
addEventListener('load', () => {
  const scrolls = (element) => element && (getComputedStyle(element).overflowX === 'auto' || scrolls(element.parentElement));
  const look = {
    scrollWidth: document.documentElement.scrollWidth,
    innerWidth: window.innerWidth,
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
    page: getComputedStyle(document.body).backgroundColor,
    errors,
    loaded: performance.getEntriesByType('resource').map(({ name }) => name),
    svgs: [...document.querySelectorAll('svg')].map((svg) => [svg.getBoundingClientRect().width, svg.getBoundingClientRect().height]),
    beyond: [...document.querySelectorAll('body *')].filter((element) => element.getBoundingClientRect().right > window.innerWidth + 1 && !scrolls(element.parentElement)).map((element) => element.outerHTML.slice(0, 100)),
  };
  const found = document.createElement('pre');
  found.id = 'look';
  found.textContent = encodeURIComponent(JSON.stringify(look));
  document.body.append(found);
});
</script>`;

/** A frame of this width is a window of this width to the page in it; the browser's own is never as narrow as a telephone. */
const frame = (
  width: number,
) => `<!DOCTYPE html><meta charset="utf-8"><iframe src="inspected.html" width="${width}" height="900" style="border:0"></iframe>
<script>addEventListener('load', () => document.body.append(frames[0].document.getElementById('look').cloneNode(true)));</script>`;

function look(folder: string, page: string, width: number, dark: boolean): Look {
  writeFileSync(join(folder, 'inspected.html'), page.replace('<head>', `<head>${inspector}`));
  writeFileSync(join(folder, 'frame.html'), frame(width));
  const { stdout, stderr } = spawnSync(
    browser,
    [
      ...[
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--allow-file-access-from-files',
        '--window-size=1400,1000',
      ],
      ...[`--user-data-dir=${join(folder, 'profile')}`, `--blink-settings=preferredColorScheme=${dark ? 0 : 1}`],
      ...['--virtual-time-budget=5000', '--dump-dom', `file://${join(folder, 'frame.html')}`],
    ],
    // A browser that hangs would hold up the suite for ever.
    { encoding: 'utf8', timeout: 300_000 },
  );
  const [, found] = /<pre id="look">([^<]*)</.exec(stdout) ?? [];
  expect(found, stderr).not.to.equal(undefined);
  return JSON.parse(decodeURIComponent(found!));
}

describe('the page of dmalg compare', function () {
  this.timeout(600_000);

  it(
    'is written for a run, beside the JSON',
    inFolder((folder) => {
      const small = ['--drivers', 'library', '--requests', '4', '--repetitions', '2', '--sizes', '512'];
      const { status, stdout, stderr } = dmalg(folder, [
        ...['compare', 'iv', ...small],
        ...['--html', 'page.html', '--json', 'report.json'],
      ]);
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(stdout.toString()).to.contain('% of unchained');
      expect(readdirSync(folder).sort()).to.deep.equal(['page.html', 'report.json']);
      const report = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'));
      expect(readFileSync(join(folder, 'page.html'), 'utf8')).to.equal(renderPage(report));

      const piped = dmalg(folder, ['compare', 'iv', ...small, '--html', '-']);
      expect(piped.stdout.toString()).to.match(/^<!DOCTYPE html>[\s\S]*<\/html>\n$/);
      expect(piped.stderr).to.contain('% of unchained');
    }),
  );

  for (const width of [360, 1280])
    for (const dark of [false, true])
      it(`${width} px wide, ${dark ? 'dark' : 'light'}: nothing is loaded, nothing is cut off${hasBrowser ? '' : `: ${browser} is not installed`}`, async function () {
        if (!hasBrowser) this.skip();
        await inFolder((folder) => {
          const page = renderPage(allReport());
          const seen = look(folder, page, width, dark);
          expect(seen).to.deep.include({ innerWidth: width, dark, errors: [], loaded: [], beyond: [] });
          expect(seen.scrollWidth).to.be.at.most(width);
          expect(seen.page).to.equal(dark ? 'rgb(20, 24, 29)' : 'rgb(255, 255, 255)');
          expect(seen.svgs).to.have.length(page.match(/<svg /g)!.length);
          for (const [wide, high] of seen.svgs) {
            expect(wide).to.be.above(250).and.below(width);
            expect(high).to.be.above(50);
          }
        })();
      });
});

describe('dmalg compare diff', function () {
  this.timeout(60_000);

  it(
    'two reports side by side, on the terminal and as JSON',
    inFolder((folder) => {
      const before = ivReport();
      const after = ivReport();
      for (const cell of after.results) cell.throughput! *= 3;
      writeFileSync(join(folder, 'before.json'), JSON.stringify(before));
      writeFileSync(join(folder, 'after.json'), JSON.stringify({ ...allReport(), reports: [after] }));
      const again = ivReport();
      for (const [index, cell] of again.results.entries()) cell.throughput! *= 1 + 0.01 * (index % 3);
      writeFileSync(join(folder, 'again.json'), JSON.stringify(again));
      const { status, stdout, stderr } = dmalg(folder, [
        ...['compare', 'diff', 'before.json,again.json', 'after.json', '--json', 'd'],
      ]);
      expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
      expect(stdout.toString())
        .to.match(/staged-8 .* 2\.9\d|3\.00 .* faster\n/)
        .and.contain('18 were faster, 0 slower');
      const { experiment, arms } = JSON.parse(readFileSync(join(folder, 'd'), 'utf8'));
      expect([experiment, arms.length]).to.deep.equal(['diff', 18]);
    }),
  );

  it(
    'a file that is no report is named, and why',
    inFolder((folder) => {
      const files: [string, string | undefined, RegExp][] = [
        ['missing', undefined, /^dmalg: missing: ENOENT/],
        ['text', 'no JSON', /^dmalg: text: Unexpected token/],
        ['null', 'null', /^dmalg: null: no report of dmalg compare: it is no object\n/],
        ['old', '{"version":0}', /^dmalg: old: .*: expected version 1, got 0\n/],
        [
          'other',
          '{"version":1,"experiment":"diff"}',
          /^dmalg: other: .*: expected an experiment \(.*\), got "diff"\n/,
        ],
        ['bare', '{"version":1,"experiment":"iv"}', /^dmalg: bare: .*: its environment is missing\n/],
        ['empty', '{"version":1,"experiment":"iv","environment":{}}', /^dmalg: empty: .*: its results are missing\n/],
        [
          'inner',
          '{"version":1,"experiment":"all","environment":{},"reports":[{}]}',
          /^dmalg: inner: .*: expected version 1, got none\n/,
        ],
      ];
      writeFileSync(join(folder, 'good'), JSON.stringify(ivReport()));
      for (const [name, content, said] of files) {
        if (content !== undefined) writeFileSync(join(folder, name), content);
        const { status, stdout, stderr } = dmalg(folder, ['compare', 'diff', 'good', name]);
        expect(stderr).to.match(said);
        expect({ status, stdout: stdout.toString() }).to.deep.equal({ status: 4, stdout: '' });
      }
    }),
  );

  for (const [args, said] of [
    [['diff', 'a'], 'compare diff: expected two reports, got 1'],
    [['diff', 'a', 'b', 'c'], 'compare diff: expected two reports, got 3'],
    [['diff', 'a', 'b', '--quick'], "--quick: not an option of compare diff; see 'dmalg compare --help'"],
    [['diff', 'a', 'b', '--html', 'x'], "--html: not an option of compare diff; see 'dmalg compare --help'"],
    [['mempool', '--html', '-', '--json', '-'], "--html: expected another file than that of --json, got '-'"],
    [['mempool', '--html', 'x', '--json', './x'], "--html: expected another file than that of --json, got 'x'"],
  ] as const)
    it(`wrong usage: compare ${args.join(' ')}`, () => {
      const { status, stdout, stderr } = dmalg('.', ['compare', ...args]);
      expect({ status, stderr, stdout: stdout.toString() }).to.deep.equal({
        status: 1,
        stderr: `dmalg: ${said}\n`,
        stdout: '',
      });
    });

  it(
    'a page that cannot be written is refused before anything is measured',
    inFolder((folder) => {
      const { status, stdout, stderr } = dmalg(folder, ['compare', 'mempool', '--html', 'missing/page.html']);
      expect({ status, stdout: stdout.toString() }).to.deep.equal({ status: 4, stdout: '' });
      expect(stderr).to.match(/^dmalg: --html missing\/page.html: ENOENT/);
    }),
  );
});
