import type { DescEnum, DescField, DescMessage, Message, MessageShape } from '@bufbuild/protobuf';
import { create, fromJson, ScalarType, toBinary } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import {
  AnySchema,
  DurationSchema,
  FieldMaskSchema,
  ListValueSchema,
  StructSchema,
  TimestampSchema,
  ValueSchema,
} from '@bufbuild/protobuf/wkt';
import { nearest, suggestion } from '../lib/nearest.ts';
import type { ConfigNode, FieldProblem, MapNode, ScalarNode } from './config-node.ts';
import { describeNode, jsonFromNode, setOwn } from './config-node.ts';
import type { ScalarValue } from './read-scalar.ts';
import { readDuration, readScalar, Unreadable } from './read-scalar.ts';
import type { TypeRegistry } from './type-registry.ts';
import { typeNameOf } from './type-name.ts';

/** The descriptors of a repeated field's items or of a map's values, as singular fields are described. */
interface ValueType {
  readonly kind: 'scalar' | 'enum' | 'message';
  readonly scalar: ScalarType | undefined;
  readonly enum: DescEnum | undefined;
  readonly message: DescMessage | undefined;
  /** Wrappers are stored bare in a singular field outside a oneof, and as messages elsewhere. */
  readonly bareWrapper: boolean;
}

/** The message types whose JSON is not an object of their fields; in an Any they stand under `value`. */
const SPECIAL: ReadonlySet<string> = new Set([
  AnySchema.typeName,
  DurationSchema.typeName,
  FieldMaskSchema.typeName,
  ListValueSchema.typeName,
  StructSchema.typeName,
  TimestampSchema.typeName,
  ValueSchema.typeName,
]);
const WRAPPER = /^google\.protobuf\.(?:Double|Float|U?Int(?:64|32)|Bool|String|Bytes)Value$/;

/**
 * Reads a message from a tree, by the rules of proto3-JSON with the leniencies of Envoy's parser (snake_case and
 * camelCase names, enum names in any case, a lone value for a list, numbers in quotes, null for unset), and finds all
 * problems on the way, not the first. The types that an Any names must have been loaded into the registry: see
 * `typeNamesIn`. After a problem the message is incomplete; nothing is thrown.
 */
export class MessageReader {
  readonly problems: FieldProblem[] = [];
  readonly #registry: TypeRegistry;
  readonly #path: (string | number)[] = [];
  readonly #enums = new Map<DescEnum, Map<string, number>>();
  readonly #types = new Map<DescField, ValueType>();

  constructor(registry: TypeRegistry) {
    this.#registry = registry;
  }

  read<Desc extends DescMessage>(desc: Desc, node: ConfigNode): MessageShape<Desc> {
    return this.#readObject(desc, node) as MessageShape<Desc>;
  }

  #problem(node: { readonly offset: number }, message: string, unknownField = false): void {
    let path = '';
    for (const step of this.#path) path += typeof step === 'number' ? `[${step}]` : path === '' ? step : `.${step}`;
    this.problems.push({
      path,
      message,
      ...(node.offset >= 0 && { offset: node.offset }),
      ...(unknownField && { unknownField }),
    });
  }

  /** A message written as an object of its fields. */
  #readObject(desc: DescMessage, node: ConfigNode, skipType = false): Message {
    const message = create(desc) as Message & Record<string, unknown>;
    if (isNull(node)) return message;
    if (node.kind !== 'map') {
      this.#problem(node, `expected an object (${desc.typeName}), found ${describeNode(node)}`);
      return message;
    }
    for (const entry of node.entries) {
      if (skipType && entry.key === '@type') continue;
      const field = this.#registry.fieldNamed(desc, entry.key);
      if (field === undefined) {
        const names = desc.fields.map((candidate) => candidate.name);
        this.#path.push(entry.key);
        this.#problem(entry, `unknown field of ${desc.typeName}${suggestion(entry.key, names)}`, true);
        this.#path.pop();
        continue;
      }
      this.#path.push(field.name);
      this.#readField(field, message, entry.value);
      this.#path.pop();
    }
    return message;
  }

  #readField(field: DescField, message: Record<string, unknown>, node: ConfigNode): void {
    if (isNull(node) && field.message?.typeName !== ValueSchema.typeName) return;
    switch (field.fieldKind) {
      case 'list':
        this.#readList(field, message[field.localName] as unknown[], node);
        return;
      case 'map':
        this.#readMap(field, message[field.localName] as Record<string, unknown>, node);
        return;
      default: {
        const { oneof } = field;
        if (oneof !== undefined) {
          const set = message[oneof.localName] as { case?: string };
          if (set.case !== undefined && set.case !== field.localName) {
            const other = oneof.fields.find((candidate) => candidate.localName === set.case);
            this.#problem(node, `'${other?.name}' is set too, and only one of '${oneof.name}' can be`);
            return;
          }
        }
        const value = this.#readValue(this.#typeOf(field), node);
        if (value === undefined) return;
        if (oneof === undefined) message[field.localName] = value;
        else message[oneof.localName] = { case: field.localName, value };
      }
    }
  }

  #typeOf(field: DescField): ValueType {
    let type = this.#types.get(field);
    if (type === undefined) {
      type = typeOf(field);
      this.#types.set(field, type);
    }
    return type;
  }

  #readList(field: DescField & { fieldKind: 'list' }, list: unknown[], node: ConfigNode): void {
    const type = this.#typeOf(field);
    const items = node.kind === 'list' ? node.items : [node];
    for (const [index, item] of items.entries()) {
      this.#path.push(index);
      if (isNull(item) && type.kind !== 'message') this.#problem(item, 'null cannot stand in a list of values');
      const value = isNull(item) && type.kind !== 'message' ? undefined : this.#readValue(type, item);
      if (value !== undefined) list.push(value);
      this.#path.pop();
    }
  }

  #readMap(field: DescField & { fieldKind: 'map' }, map: Record<string, unknown>, node: ConfigNode): void {
    if (node.kind !== 'map') {
      this.#problem(node, `expected an object, found ${describeNode(node)}`);
      return;
    }
    const type = this.#typeOf(field);
    for (const entry of node.entries) {
      this.#path.push(entry.key);
      const key = this.#readMapKey(field.mapKey, entry);
      const value = this.#readValue(type, entry.value);
      if (key !== undefined && value !== undefined) setOwn(map, key, value);
      this.#path.pop();
    }
  }

  #readMapKey(type: ScalarType, entry: { key: string; offset: number }): string | undefined {
    if (type === ScalarType.STRING) return entry.key;
    const key = readScalar(type, { kind: 'scalar', value: entry.key, offset: entry.offset });
    if (!(key instanceof Unreadable)) return String(key);
    this.#problem(entry, `as a key: ${key.message}`);
    return undefined;
  }

  /** The value as protobuf-es stores it; undefined after a problem. */
  #readValue(type: ValueType, node: ConfigNode): unknown {
    if (type.kind === 'message') return this.#readMessage(type.message!, node, type.bareWrapper);
    if (node.kind !== 'scalar') {
      this.#problem(node, `expected a single value, found ${describeNode(node)}`);
      return undefined;
    }
    return type.kind === 'enum' ? this.#readEnum(type.enum!, node) : this.#readScalar(type.scalar!, node);
  }

  #readScalar(type: ScalarType, node: ScalarNode): ScalarValue | undefined {
    const value = readScalar(type, node);
    if (!(value instanceof Unreadable)) return value;
    this.#problem(node, value.message);
    return undefined;
  }

  #readEnum(desc: DescEnum, node: ScalarNode): number | undefined {
    const { value } = node;
    if (typeof value === 'number' && Number.isInteger(value)) return value;
    if (typeof value === 'string') {
      if (/^-?\d+$/.test(value)) return Number(value);
      let numbers = this.#enums.get(desc);
      if (numbers === undefined) {
        numbers = new Map(desc.values.map((candidate) => [candidate.name.toLowerCase(), candidate.number]));
        this.#enums.set(desc, numbers);
      }
      const number = numbers.get(value.toLowerCase());
      if (number !== undefined) return number;
      const names = desc.values.map((candidate) => candidate.name);
      const hint =
        nearest(value, names) === undefined && names.length <= 12
          ? ` (one of ${names.join(', ')})`
          : suggestion(value, names);
      this.#problem(node, `unknown value '${value}' of the enum ${desc.typeName}${hint}`, true);
      return undefined;
    }
    this.#problem(node, `expected a value of the enum ${desc.typeName}, found ${describeNode(node)}`);
    return undefined;
  }

  #readMessage(desc: DescMessage, node: ConfigNode, bareWrapper: boolean): unknown {
    switch (desc.typeName) {
      case AnySchema.typeName:
        return this.#readAny(node);
      case StructSchema.typeName:
        if (isNull(node)) return {};
        if (node.kind === 'map') return jsonFromNode(node, this.#inOwnMessage);
        this.#problem(node, `expected an object, found ${describeNode(node)}`);
        return undefined;
      case ValueSchema.typeName:
        return fromJson(ValueSchema, jsonFromNode(node, this.#inOwnMessage));
      case ListValueSchema.typeName:
        if (node.kind === 'list') return fromJson(ListValueSchema, jsonFromNode(node, this.#inOwnMessage));
        this.#problem(node, `expected a list, found ${describeNode(node)}`);
        return undefined;
      case DurationSchema.typeName:
        return this.#readDuration(node);
      case TimestampSchema.typeName:
      case FieldMaskSchema.typeName:
        return this.#readByLibrary(desc, node);
      default:
        return WRAPPER.test(desc.typeName) ? this.#readWrapper(desc, node, bareWrapper) : this.#readObject(desc, node);
    }
  }

  /** How many messages of our own API surround the value that is being read. */
  #ownDepth = 0;

  get #inOwnMessage(): boolean {
    return this.#ownDepth > 0;
  }

  #readDuration(node: ConfigNode): Message | undefined {
    if (node.kind === 'map') return this.#readObject(DurationSchema, node);
    if (node.kind === 'scalar' && typeof node.value === 'string') {
      const duration = readDuration(node.value);
      if (!(duration instanceof Unreadable)) return create(DurationSchema, duration);
      this.#problem(node, duration.message);
    } else {
      const hint = node.kind === 'scalar' && typeof node.value === 'number' ? ` (did you mean '${node.value}s'?)` : '';
      this.#problem(node, `expected a duration in seconds such as '1.5s', found ${describeNode(node)}${hint}`);
    }
    return undefined;
  }

  #readByLibrary(desc: DescMessage, node: ConfigNode): Message | undefined {
    if (node.kind === 'map') return this.#readObject(desc, node);
    try {
      return fromJson(desc, jsonFromNode(node, false));
    } catch {
      const expected = desc === TimestampSchema ? "a time such as '2026-01-31T12:00:00Z'" : 'a field mask';
      this.#problem(node, `expected ${expected}, found ${describeNode(node)}`);
      return undefined;
    }
  }

  #readWrapper(desc: DescMessage, node: ConfigNode, bare: boolean): unknown {
    const message = create(desc) as Message & { value: unknown };
    if (node.kind === 'map') {
      const inner = this.#readObject(desc, node) as Message & { value: unknown };
      return bare ? inner.value : inner;
    }
    if (node.kind === 'list') {
      this.#problem(node, `expected a single value, found ${describeNode(node)}`);
      return undefined;
    }
    if (node.value !== null) {
      const value = this.#readScalar(desc.fields[0]!.scalar!, node);
      if (value === undefined) return undefined;
      message.value = value;
    }
    return bare ? message.value : message;
  }

  #readAny(node: ConfigNode): Any | undefined {
    if (isNull(node)) return create(AnySchema);
    if (node.kind !== 'map') {
      this.#problem(node, `expected an object with an '@type', found ${describeNode(node)}`);
      return undefined;
    }
    const type = node.entries.find((entry) => entry.key === '@type');
    if (type === undefined) {
      if (node.entries.length > 0) this.#problem(node, "'@type' is missing: it names the message that this is");
      return create(AnySchema);
    }
    const url = type.value.kind === 'scalar' ? type.value.value : undefined;
    this.#path.push('@type');
    const desc = this.#typeFor(url, type.value);
    this.#path.pop();
    return desc === undefined ? undefined : this.#packAny(url as string, desc, node);
  }

  #typeFor(url: unknown, node: ConfigNode): DescMessage | undefined {
    if (typeof url !== 'string') {
      this.#problem(node, `expected a type URL, found ${describeNode(node)}`);
      return undefined;
    }
    const slash = url.lastIndexOf('/');
    const typeName = url.slice(slash + 1);
    if (slash <= 0) {
      const hint = this.#registry.knows(typeName) ? ` (did you mean 'type.googleapis.com/${typeName}'?)` : '';
      this.#problem(
        node,
        `a type URL has a host and a '/', as in type.googleapis.com/..., and '${url}' has not${hint}`,
      );
      return undefined;
    }
    const desc = this.#registry.get(typeName);
    if (desc === undefined) this.#problem(node, `unknown type '${typeName}'${this.#registry.suggestType(typeName)}`);
    return desc;
  }

  #packAny(typeUrl: string, desc: DescMessage, node: MapNode): Any | undefined {
    const before = this.problems.length;
    const own = desc.file.proto.package.startsWith('outrigger.');
    if (own) this.#ownDepth++;
    let message: Message | undefined;
    if (SPECIAL.has(desc.typeName) || WRAPPER.test(desc.typeName)) {
      const value = node.entries.find((entry) => entry.key === 'value');
      const read = value === undefined ? create(desc) : this.#readMessage(desc, value.value, false);
      message =
        desc.typeName === StructSchema.typeName && read !== undefined && value !== undefined
          ? fromJson(StructSchema, jsonFromNode(value.value, own))
          : (read as Message | undefined);
    } else message = this.#readObject(desc, node, true);
    if (own) this.#ownDepth--;
    // What went wrong inside has been said; an unknown field that is tolerated leaves a good message.
    if (message === undefined || this.problems.slice(before).some((problem) => !problem.unknownField)) return undefined;
    const any = create(AnySchema, { typeUrl, value: toBinary(desc, message) });
    if (!isTypedStruct(desc)) this.#registry.remember(any, { typeName: desc.typeName, desc, message, problems: [] });
    return any;
  }
}

/** udpa.type.v1.TypedStruct or xds.type.v3.TypedStruct: another message's config, written as a Struct. */
export function isTypedStruct(desc: DescMessage): boolean {
  return desc.typeName === 'udpa.type.v1.TypedStruct' || desc.typeName === 'xds.type.v3.TypedStruct';
}

/** The message types that a tree names: in every `@type`, and in the `type_url` of a TypedStruct. */
export function typeNamesIn(node: ConfigNode, found = new Set<string>()): Set<string> {
  if (node.kind === 'list') for (const item of node.items) typeNamesIn(item, found);
  else if (node.kind === 'map')
    for (const { key, value } of node.entries) {
      if (value.kind !== 'scalar') typeNamesIn(value, found);
      else if ((key === '@type' || key === 'type_url' || key === 'typeUrl') && typeof value.value === 'string')
        found.add(typeNameOf(value.value));
    }
  return found;
}

function isNull(node: ConfigNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

function typeOf(field: DescField): ValueType {
  const kind =
    field.fieldKind === 'list' ? field.listKind : field.fieldKind === 'map' ? field.mapKind : field.fieldKind;
  return {
    kind: kind as ValueType['kind'],
    scalar: field.scalar,
    enum: field.enum,
    message: field.message,
    bareWrapper: kind === field.fieldKind && field.oneof === undefined,
  };
}
