import { describe, expect, test } from 'vitest';
import { formatProblem } from '../../src/config/format-problem.ts';
import { locateField, SourceDocument } from '../../src/config/source-document.ts';
import { parseYaml } from '../../src/config/yaml.ts';

const documentOf = async (file: string, text: string) => new SourceDocument(file, text, (await parseYaml(text)).root);

describe('locateField', () => {
  const text = `a:
  - b: 1
    camelCase: 2
  - typed:
      some.dotted.key:
        x: 3
lone: {c: 1}
`;

  test.each([
    ['a', 1, 1],
    ['a[0].b', 2, 5],
    ['a[0].camel_case', 3, 5],
    ['a[1].typed.some.dotted.key.x', 6, 9],
    // What is not written out is sought at what surrounds it.
    ['a[1].typed.other', 4, 5],
    ['a[5].b', 1, 1],
    ['nothing', 1, 1],
    // A lone value stands for a list of one.
    ['lone[0].c', 7, 8],
  ])('%s', async (path, line, column) => {
    expect(locateField([await documentOf('f', text)], path)).toEqual({ file: 'f', line, column });
  });

  test('counts through the lists of merged documents', async () => {
    const documents = [await documentOf('one', 'l:\n- a: 1\n- a: 2\n'), await documentOf('two', 'l:\n- a: 3\n')];
    expect(locateField(documents, 'l[1].a')).toEqual({ file: 'one', line: 3, column: 3 });
    expect(locateField(documents, 'l[2].a')).toEqual({ file: 'two', line: 2, column: 3 });
    expect(locateField(documents, 'l')).toEqual({ file: 'two', line: 1, column: 1 });
  });

  test('there is no place in an object', () => {
    expect(
      locateField([new SourceDocument('config', '', { kind: 'map', entries: [], offset: -1 })], 'a'),
    ).toBeUndefined();
  });
});

test.each([
  [
    'f:1:2: a.b: is bad',
    { severity: 'error', path: 'a.b', message: 'is bad', position: { file: 'f', line: 1, column: 2 } },
  ],
  ['unsupported: a: is not implemented', { severity: 'unsupported', path: 'a', message: 'is not implemented' }],
  ['is bad', { severity: 'error', path: '', message: 'is bad' }],
] as const)('formats %s', (line, problem) => {
  expect(formatProblem(problem)).toBe(line);
});
