/** `{ "<key>": [...] }`, pretty-printed as JSON.stringify(.., null, 1) would, one element a piece; `{}` if there are none. */
export function* jsonList(key: string, elements: Iterable<object>): Generator<string, void, void> {
  let before = `{\n ${JSON.stringify(key)}: [\n`;
  let any = false;
  for (const element of elements) {
    yield before + indent(element);
    before = ',\n';
    any = true;
  }
  yield any ? '\n ]\n}\n' : '{}\n';
}

function indent(element: object): string {
  return `  ${JSON.stringify(element, null, 1).replaceAll('\n', '\n  ')}`;
}
