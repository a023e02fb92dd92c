import { expect } from 'chai';
import fc from 'fast-check';
import { joinArgs, splitArgs } from '../../lib/dm/split-args.js';
import { formatTable, parseTable, type TableLine } from '../../lib/dm/table.js';
import { TableError } from '../../lib/dm/table-error.js';

const word = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter((text) => !text.includes('\n'));
const type = fc.stringMatching(/^[a-z][a-z-]{0,9}$/);

/** Lines that follow each other from sector 0. */
const table: fc.Arbitrary<TableLine[]> = fc
  .array(fc.record({ length: fc.integer({ min: 1, max: 2 ** 40 }), type, args: fc.array(word, { maxLength: 6 }) }), {
    minLength: 1,
    maxLength: 5,
  })
  .map((lines) => {
    let start = 0;
    return lines.map((line) => {
      const placed = { start, ...line };
      start += line.length;
      return placed;
    });
  });

describe('dm_split_args', () => {
  for (const [text, args] of [
    ['', []],
    ['  \t ', []],
    ['a b', ['a', 'b']],
    [' a\t\v\f\r b ', ['a', 'b']],
    ['a\\ b c', ['a b', 'c']],
    ['a\\\\b', ['a\\b']],
    ['\\a\\b', ['ab']],
    ['a\\', ['a\\']],
    ['a\u00a0b', ['a\u00a0b']],
  ] as const)
    it(`makes ${JSON.stringify(args)} of ${JSON.stringify(text)}`, () => {
      expect(splitArgs(text)).to.deep.equal(args);
    });

  it('gives back what joinArgs wrote, whatever it is', () => {
    fc.assert(
      fc.property(fc.array(word), (args) => {
        expect(splitArgs(joinArgs(args))).to.deep.equal(args);
      }),
    );
  });
});

describe('table', () => {
  it('parses to what it was formatted from', () => {
    fc.assert(
      fc.property(table, (lines) => {
        expect(parseTable(formatTable(lines))).to.deep.equal(lines);
      }),
    );
  });

  it('throws nothing but a TableError, whatever the text', () => {
    const number = fc.oneof(fc.integer().map(String), fc.constantFrom('0', '8', '-1', '1e3', '9007199254740993', ''));
    const near = fc.tuple(number, number, word, word).map((parts) => parts.join(' '));
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(near).map((lines) => lines.join('\n')),
    );
    fc.assert(
      fc.property(text, (input) => {
        try {
          expect(parseTable(input)).not.to.equal(0);
        } catch (error) {
          expect(error).to.be.instanceOf(TableError);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves out empty lines and comments', () => {
    expect(parseTable('\n# a b c\n  # 1\n0 8 zero\n\n8 8 error\n')).to.deep.equal([
      { start: 0, length: 8, type: 'zero', args: [] },
      { start: 8, length: 8, type: 'error', args: [] },
    ]);
  });

  for (const [text, message] of [
    ['', /^table: table has no targets/],
    ['# nothing', /^table: table has no targets/],
    ['0 8', /^table line 1: Invalid format/],
    ['x 8 zero', /^table line 1: Invalid start; .*'x'/],
    ['0 8s zero', /^table line 1: Invalid length; .*'8s'/],
    ['0 9007199254740992 zero', /Invalid length/],
    ['0 0 zero', /^table line 1: zero: zero-length target/],
    ['8 8 zero', /^table line 1: Gap in table; it starts at sector 8, expected 0/],
    ['0 8 zero\n# gap\n9 8 zero', /^table line 3: Gap in table; it starts at sector 9, expected 8/],
    ['0 9007199254740991 zero\n9007199254740991 1 zero', /^table line 2: zero: start \+ length is too large/],
  ] as const)
    it(`refuses ${JSON.stringify(text)}`, () => {
      expect(() => parseTable(text)).to.throw(TableError, message);
    });

  it('cannot hold an empty argument or a line break', () => {
    for (const arg of ['', 'a\nb'])
      expect(() => formatTable([{ start: 0, length: 8, type: 'x', args: ['a', arg] }])).to.throw(
        TableError,
        /x: Invalid argument \(argument 2\)/,
      );
  });
});
