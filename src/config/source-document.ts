import type { ConfigNode } from '../api/config-node.ts';

/** Where something stands, 1-based. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One text that a config was read from, and what stood where in it. */
export class SourceDocument {
  /** As the user named it. */
  readonly file: string;
  /** Absent when the text could not be read as a tree. */
  readonly root: ConfigNode | undefined;
  readonly #text: string;
  #lineStarts: number[] | undefined;

  constructor(file: string, text: string, root: ConfigNode | undefined) {
    this.file = file;
    this.root = root;
    this.#text = text;
  }

  /** Undefined for a document without text (a config object). */
  positionAt(offset: number): Position | undefined {
    if (offset < 0 || this.#text === '') return undefined;
    this.#lineStarts ??= lineStartsOf(this.#text);
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { file: this.file, line: low + 1, column: offset - this.#lineStarts[low]! + 1 };
  }
}

function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

interface Place {
  readonly document: SourceDocument;
  readonly node: ConfigNode;
  /** Of the key, where there is one: that is what one looks for. */
  readonly offset: number;
}

/**
 * Where the field at `path` (`static_resources.clusters[3].name`) stands in documents that were merged in this order,
 * with lists appended: there, or at the nearest field around it that is written out. Undefined for config objects.
 */
export function locateField(documents: readonly SourceDocument[], path: string): Position | undefined {
  let places: Place[] = [];
  for (const document of documents)
    if (document.root !== undefined) places.push({ document, node: document.root, offset: document.root.offset });
  let rest = path;
  while (rest !== '') {
    const step = rest.startsWith('[') ? enterItem(places, rest) : enterField(places, rest);
    if (step === undefined) break;
    ({ places, rest } = step);
  }
  // What was merged last has the last word on a value.
  const found = places.at(-1);
  return found?.document.positionAt(found.offset);
}

function enterItem(places: readonly Place[], rest: string): { places: Place[]; rest: string } | undefined {
  const end = rest.indexOf(']');
  let index = Number(rest.slice(1, end));
  for (const { document, node } of places) {
    const items = node.kind === 'list' ? node.items : [node];
    const item = items[index];
    if (item !== undefined)
      return { places: [{ document, node: item, offset: item.offset }], rest: rest.slice(end + 1).replace(/^\./, '') };
    index -= items.length;
  }
  return undefined;
}

/** The keys of maps may contain dots: the longest key that the path starts with is the one. */
function enterField(places: readonly Place[], rest: string): { places: Place[]; rest: string } | undefined {
  let length = 0;
  let found: Place[] = [];
  for (const { document, node } of places) {
    if (node.kind !== 'map') continue;
    for (const { key, offset, value } of node.entries) {
      const name = prefixOf(rest, key) ? key : snakeCase(key);
      if (name.length < length || !prefixOf(rest, name)) continue;
      if (name.length > length) found = [];
      length = name.length;
      found.push({ document, node: value, offset });
    }
  }
  return length === 0 ? undefined : { places: found, rest: rest.slice(length).replace(/^\./, '') };
}

function prefixOf(path: string, name: string): boolean {
  return (
    path.startsWith(name) && (path.length === name.length || path[name.length] === '.' || path[name.length] === '[')
  );
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
