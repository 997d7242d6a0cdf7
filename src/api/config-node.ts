import type { JsonObject, JsonValue } from '@bufbuild/protobuf';

/**
 * A YAML or JSON text as a tree that still knows where everything stood. It is what messages are read from
 * (message-reader.ts), whatever the syntax. `offset` counts UTF-16 units from the start of the text; -1: no text.
 */
export type ConfigNode = ScalarNode | ListNode | MapNode;

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
  /** The digits as written, where a double cannot hold them. */
  readonly digits?: string;
  /** A plain YAML scalar that looks like a fraction: Envoy keeps it as a string until a numeric field reads it. */
  readonly fraction?: true;
  readonly offset: number;
}

export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly ConfigNode[];
  readonly offset: number;
}

export interface MapNode {
  readonly kind: 'map';
  readonly entries: readonly MapEntry[];
  readonly offset: number;
}

export interface MapEntry {
  readonly key: string;
  /** Where the key stands. */
  readonly offset: number;
  readonly value: ConfigNode;
}

/** Something wrong with a message, as found by the reader or by the validation rules of its descriptor. */
export interface FieldProblem {
  /** From the message that was read, in proto names: `static_resources.clusters[3].lb_policy`. */
  readonly path: string;
  readonly message: string;
  /** Where it stands in the text that was read, if it came from one. */
  readonly offset?: number;
  /** A field (or enum value) that the API does not have; an option of the command line tolerates these. */
  readonly unknownField?: true;
}

/** The tree of a plain JSON value: a config object handed over in code, a Struct's content. */
export function nodeFromJson(value: unknown): ConfigNode {
  if (Array.isArray(value)) return { kind: 'list', items: value.map(nodeFromJson), offset: -1 };
  if (typeof value === 'object' && value !== null)
    return {
      kind: 'map',
      entries: Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => ({ key, offset: -1, value: nodeFromJson(item) })),
      offset: -1,
    };
  if (typeof value === 'bigint') return { kind: 'scalar', value: value.toString(), offset: -1 };
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return { kind: 'scalar', value, offset: -1 };
  return { kind: 'scalar', value: null, offset: -1 };
}

/**
 * The tree as a plain JSON value, for Struct, Value and ListValue. Fractions in YAML stay strings there, as in
 * Envoy 1.40, unless `numericFractions` asks for numbers (configs of our own extensions do).
 */
export function jsonFromNode(node: ConfigNode, numericFractions: boolean): JsonValue {
  if (node.kind === 'scalar')
    return node.fraction && numericFractions && Number.isFinite(Number(node.value)) ? Number(node.value) : node.value;
  if (node.kind === 'list') return node.items.map((item) => jsonFromNode(item, numericFractions));
  const object: JsonObject = {};
  for (const { key, value } of node.entries) setOwn(object, key, jsonFromNode(value, numericFractions));
  return object;
}

/** Assigns even where the key is `__proto__`. */
export function setOwn<T>(object: Record<string, T>, key: string, value: T): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  else object[key] = value;
}

/** What kind of thing a node is, for messages. */
export function describeNode(node: ConfigNode): string {
  if (node.kind === 'list') return 'a list';
  if (node.kind === 'map') return 'an object';
  if (node.value === null) return 'null';
  if (typeof node.value === 'string')
    return node.fraction ? `the number ${node.value}` : `the string ${quote(node.value)}`;
  return typeof node.value === 'number' ? `the number ${node.digits ?? node.value}` : `the boolean ${node.value}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
}
