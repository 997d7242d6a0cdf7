import type { FormatContext, TextFormatter } from './access-log.ts';
import { parseFormat, valueToText, type FormatOptions, type ParsedFormat } from './format.ts';
import { bytesToJson, compareBytes, numberToJson, toJson } from './json-text.ts';
import { toBytesText, type FormatValue } from './operators/operator.ts';

/** A compiled JSON template. Leaves render to JSON text; `undefined` = no value. */
type Node =
  | { readonly kind: 'constant'; readonly json: string | undefined }
  | { readonly kind: 'leaf'; readonly render: (context: FormatContext) => string | undefined }
  | { readonly kind: 'object'; readonly fields: readonly (readonly [key: string, node: Node])[] }
  | { readonly kind: 'list'; readonly items: readonly Node[] };

/**
 * Compiles a JSON format (`json_format`): a JSON object whose strings are format strings. A string that is one operator
 * gives a typed value, null where there is none; keys come in byte order; the line ends with a newline. With
 * `omitEmptyValues`, fields without value, and objects left empty by that, are not printed. Throws FormatError.
 */
export function compileJson(format: unknown, options: FormatOptions = {}): TextFormatter {
  const root = compileNode(format, options);
  return options.omitEmptyValues === true ? new SparseJson(root) : new FullJson(root);
}

function compileNode(format: unknown, options: FormatOptions): Node {
  if (typeof format === 'string') return compileString(parseFormat(format, options, true), options);
  if (Array.isArray(format)) return { kind: 'list', items: format.map((item) => compileNode(item, options)) };
  if (typeof format === 'object' && format !== null)
    return {
      kind: 'object',
      fields: Object.entries(format)
        .sort(([a], [b]) => compareBytes(a, b))
        .map(([key, value]) => [toBytesText(JSON.stringify(key)), compileNode(value, options)]),
    };
  if (typeof format === 'number') return { kind: 'constant', json: numberToJson(format) };
  return { kind: 'constant', json: typeof format === 'boolean' ? String(format) : undefined };
}

function compileString({ literals, operators }: ParsedFormat, options: FormatOptions): Node {
  if (operators.length === 0) return { kind: 'constant', json: bytesToJson(literals[0]!) };
  if (operators.length === 1 && literals[0] === '' && literals[1] === '') {
    const evaluate = operators[0]!;
    return { kind: 'leaf', render: (context) => valueToJson(evaluate(context)) };
  }
  const missing = options.omitEmptyValues === true ? '' : '-';
  return {
    kind: 'leaf',
    render(context) {
      let text = literals[0]!;
      for (let i = 0; i < operators.length; i++)
        text += valueToText(operators[i]!(context), missing) + literals[i + 1]!;
      return bytesToJson(text);
    },
  };
}

function valueToJson(value: FormatValue): string | undefined {
  if (typeof value === 'string') return bytesToJson(value);
  if (typeof value === 'number') return numberToJson(value);
  if (value === undefined || value === null) return undefined;
  return toBytesText(toJson(value));
}

/** Prints every field. The template is flattened into constant text and leaves. */
class FullJson implements TextFormatter {
  readonly #texts: string[] = [''];
  readonly #leaves: ((context: FormatContext) => string | undefined)[] = [];

  constructor(root: Node) {
    this.#flatten(root);
    this.#text('\n');
  }

  format(context: FormatContext): string {
    let json = this.#texts[0]!;
    for (let i = 0; i < this.#leaves.length; i++) json += (this.#leaves[i]!(context) ?? 'null') + this.#texts[i + 1]!;
    return json;
  }

  #text(text: string): void {
    this.#texts[this.#texts.length - 1] += text;
  }

  #flatten(node: Node): void {
    switch (node.kind) {
      case 'constant':
        this.#text(node.json ?? 'null');
        break;
      case 'leaf':
        this.#leaves.push(node.render);
        this.#texts.push('');
        break;
      case 'list':
        node.items.forEach((item, i) => {
          this.#text(i === 0 ? '[' : ',');
          this.#flatten(item);
        });
        this.#text(node.items.length === 0 ? '[]' : ']');
        break;
      case 'object':
        node.fields.forEach(([key, value], i) => {
          this.#text(`${i === 0 ? '{' : ','}${key}:`);
          this.#flatten(value);
        });
        this.#text(node.fields.length === 0 ? '{}' : '}');
        break;
    }
  }
}

/** Leaves out what has no value. */
class SparseJson implements TextFormatter {
  readonly #root: Node;

  constructor(root: Node) {
    this.#root = root;
  }

  format(context: FormatContext): string {
    return `${render(this.#root, context) ?? '{}'}\n`;
  }
}

function render(node: Node, context: FormatContext): string | undefined {
  switch (node.kind) {
    case 'constant':
      return node.json;
    case 'leaf':
      return node.render(context);
    case 'list': {
      let json = '';
      for (const item of node.items) {
        const text = render(item, context);
        if (text !== undefined) json += json === '' ? text : `,${text}`;
      }
      return `[${json}]`;
    }
    case 'object': {
      let json = '';
      for (const [key, value] of node.fields) {
        const text = render(value, context);
        if (text !== undefined) json += `${json === '' ? '' : ','}${key}:${text}`;
      }
      return json === '' ? undefined : `{${json}}`;
    }
  }
}
