import { type Markup, markup } from './markup.js';

/** What must not be overlooked in a table. */
const alarming = /WRONG|DEADLOCK|failed|slower/;

/** A table whose first line is its head; on a narrow screen it scrolls inside its own box. */
export function pageTable(caption: string, [head = [], ...rows]: string[][]): Markup {
  return markup`<div class="table" role="region" aria-label="${caption}" tabindex="0"><table><caption>${caption}</caption>
<thead><tr>${head.map((text) => (text ? markup`<th scope="col">${text}</th>` : markup`<td></td>`))}</tr></thead>
<tbody>${rows.map(
    ([name = '', ...cells]) => markup`<tr><th scope="row">${name}</th>${cells.map((text) => drawCell(text.trim()))}</tr>
`,
  )}</tbody></table></div>
`;
}

function drawCell(text: string): Markup {
  const content = alarming.test(text) ? markup`<strong>${text}</strong>` : text;
  // Sentences are read from the left, figures by their last digit.
  return /[a-z]{3,} [a-z]{2,} [a-z]/.test(text)
    ? markup`<td class="words">${content}</td>`
    : markup`<td>${content}</td>`;
}

/** A list, if there is anything in it. */
export function pageList(heading: string, lines: readonly string[]): Markup | undefined {
  if (lines.length === 0) return undefined;
  return markup`<h3>${heading}</h3>
<ul>${lines.map((line) => markup`<li>${line}</li>`)}</ul>
`;
}
