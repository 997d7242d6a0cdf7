import type { Document, Node, Pair, Scalar } from 'yaml';
import { isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml';
import type { ConfigNode, MapEntry, MapNode } from '../api/config-node.ts';
import type { SyntaxProblem } from '../api/json-text.ts';
import { resolvePlainScalar } from './yaml-scalar.ts';

const MAX_DEPTH = 200;
/** What aliases may multiply a document by, once it is larger than `SMALL` nodes. */
const MAX_EXPANSION = 50;
const SMALL = 100_000;

/**
 * Reads the first document of any YAML text, all of the language: the complete reader behind yaml.ts. Aliases share
 * their node; a document in which they would multiply beyond reason is refused before anyone walks it.
 */
export function readYamlDocument(text: string): {
  readonly root?: ConfigNode;
  readonly problems: readonly SyntaxProblem[];
} {
  let document: Document;
  try {
    document = parseDocument(text, {
      version: '1.1',
      schema: 'failsafe',
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'silent',
    });
  } catch (error) {
    // Only a text nested deeper than the stack gets here.
    return { problems: [{ message: error instanceof Error ? error.message : String(error), offset: 0 }] };
  }
  const problems = document.errors
    .filter((error) => error.code !== 'MULTIPLE_DOCS')
    .map((error) => ({ message: error.message, offset: error.pos[0] }));
  if (problems.length > 0) return { problems };
  const builder = new TreeBuilder();
  const root = builder.node(document.contents, 0);
  if (builder.problems.length === 0 && expandedSize(root) > Math.max(SMALL, builder.count * MAX_EXPANSION))
    builder.problems.push({ message: 'aliases expand the document beyond reason', offset: 0 });
  return builder.problems.length > 0 ? { problems: builder.problems } : { root, problems: [] };
}

class TreeBuilder {
  readonly problems: SyntaxProblem[] = [];
  count = 0;
  readonly #anchors = new Map<string, ConfigNode | 'open'>();

  node(node: unknown, depth: number): ConfigNode {
    this.count++;
    const offset = (node as Node | null)?.range?.[0] ?? 0;
    if (depth > MAX_DEPTH) return this.#fail(`nested deeper than ${MAX_DEPTH} levels`, offset);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined) return this.#fail(`the anchor '${node.source}' is not defined`, offset);
      return target === 'open'
        ? this.#fail(`the alias '${node.source}' stands inside of its own anchor`, offset)
        : target;
    }
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) this.#anchors.set(anchor, 'open');
    const built = this.#build(node, offset, depth);
    if (anchor !== undefined) this.#anchors.set(anchor, built);
    return built;
  }

  #build(node: unknown, offset: number, depth: number): ConfigNode {
    if (isScalar(node)) return scalarNode(node, offset);
    if (isSeq(node)) return { kind: 'list', items: node.items.map((item) => this.node(item, depth + 1)), offset };
    if (isMap(node)) return this.#map(node.items as Pair[], offset, depth);
    return { kind: 'scalar', value: null, offset };
  }

  #map(pairs: readonly Pair[], offset: number, depth: number): MapNode {
    const entries: MapEntry[] = [];
    const merged: MapEntry[] = [];
    const seen = new Set<string>();
    for (const pair of pairs) {
      const keyNode = pair.key as Node | null;
      const keyOffset = keyNode?.range?.[0] ?? offset;
      // Anchors may be defined under an ignored key, so its value is built like any other.
      const value = this.node(pair.value, depth + 1);
      if (isScalar(keyNode) && keyNode.tag === '!ignore') continue;
      const key = this.#key(keyNode, keyOffset);
      if (key === undefined) continue;
      if (key === '<<' && isScalar(keyNode) && keyNode.type === 'PLAIN') {
        this.#merge(value, merged);
        continue;
      }
      if (seen.has(key)) this.problems.push({ message: `the key '${key}' is there twice`, offset: keyOffset });
      seen.add(key);
      entries.push({ key, offset: keyOffset, value });
    }
    // A key of the map itself wins over a merged one, and an earlier merge over a later one.
    for (const entry of merged) {
      if (seen.has(entry.key)) continue;
      seen.add(entry.key);
      entries.push(entry);
    }
    return { kind: 'map', entries, offset };
  }

  #key(node: Node | null, offset: number): string | undefined {
    if (node === null) return 'null';
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (typeof target === 'object' && target.kind === 'scalar') return String(target.value);
    } else if (isScalar(node)) {
      const text = String(node.value ?? '');
      return node.type === 'PLAIN' && (text === '~' || text === '') ? 'null' : text;
    }
    this.#fail('a key has to be a single value', offset);
    return undefined;
  }

  /** The merge key, `<<`: a map, or a list of maps. */
  #merge(value: ConfigNode, into: MapEntry[]): void {
    if (value.kind === 'map') into.push(...value.entries);
    else if (value.kind === 'list') for (const item of value.items) this.#merge(item, into);
    else this.#fail("'<<' merges an object or a list of objects", value.offset);
  }

  #fail(message: string, offset: number): ConfigNode {
    this.problems.push({ message, offset });
    return { kind: 'scalar', value: null, offset };
  }
}

/** Only plain scalars have a type of their own; the tag `!` makes a plain one a string, other tags change nothing. */
function scalarNode(node: Scalar, offset: number): ConfigNode {
  const text = String(node.value ?? '');
  return node.type === 'PLAIN' && node.tag !== '!'
    ? resolvePlainScalar(text, offset)
    : { kind: 'scalar', value: text, offset };
}

/** How many nodes a walk that follows every alias would see. */
function expandedSize(root: ConfigNode): number {
  const sizes = new Map<ConfigNode, number>();
  const sizeOf = (node: ConfigNode): number => {
    if (node.kind === 'scalar') return 1;
    let size = sizes.get(node);
    if (size === undefined) {
      const children = node.kind === 'list' ? node.items : node.entries.map((entry) => entry.value);
      size = children.reduce((sum, child) => sum + sizeOf(child), 1);
      sizes.set(node, size);
    }
    return size;
  };
  return sizeOf(root);
}
