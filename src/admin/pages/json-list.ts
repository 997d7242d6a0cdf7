/** A list in a JSON object whose elements are made while it is printed. Left out with its key if it is empty. */
export class LazyList {
  readonly elements: Iterable<object>;

  constructor(elements: Iterable<object>) {
    this.elements = elements;
  }
}

/** `{ "<key>": [...] }` as `printJson` does it; `{}` if there are no elements. */
export function jsonList(key: string, elements: Iterable<object>): Generator<string, void, void> {
  return printJson({ [key]: new LazyList(elements) });
}

/** `JSON.stringify(object, null, 1)` and a line feed, piece by piece; LazyLists one element a piece. */
export function* printJson(object: object): Generator<string, void, void> {
  yield* print(object, '');
  yield '\n';
}

function* print(object: object, indent: string): Generator<string, void, void> {
  const entries = Object.entries(object);
  if (!entries.some(([, value]) => value instanceof LazyList)) {
    yield stringify(object, indent);
    return;
  }
  let before = `{\n${indent} `;
  let any = false;
  for (const [key, value] of entries) {
    if (value instanceof LazyList) {
      let open = `${before}${JSON.stringify(key)}: [\n${indent}  `;
      let some = false;
      for (const element of value.elements) {
        yield open;
        yield* print(element, `${indent}  `);
        open = `,\n${indent}  `;
        some = true;
      }
      if (!some) continue;
      yield `\n${indent} ]`;
    } else if (value !== undefined) yield `${before}${JSON.stringify(key)}: ${stringify(value, `${indent} `)}`;
    else continue;
    before = `,\n${indent} `;
    any = true;
  }
  yield any ? `\n${indent}}` : '{}';
}

function stringify(value: unknown, indent: string): string {
  const text = JSON.stringify(value, null, 1);
  return indent === '' ? text : text.replaceAll('\n', `\n${indent}`);
}
